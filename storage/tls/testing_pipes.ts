import type { TlsCredentials } from "./messages.ts";
import { nodeUri } from "../../protocol/certificates/node_uri.ts";
import { TlsPipe, type TlsPipeTimes } from "./pipe.ts";
import { credentialsOf, Descriptors, Talker, UNIT_ID } from "./testing.ts";

/** Pipes with ends that a test holds. */

export const UNIT_URI = nodeUri("unit", UNIT_ID);
/** Where no test is about time: none that the slowest machine needs. */
export const PATIENT: Required<TlsPipeTimes> = { handshakeMs: 600_000, lingerMs: 600_000 };

/** Whether a piece left within a moment; it is written in any case. */
export function accepted(talker: Talker, piece: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 200);
    talker.socket.write(piece, () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

interface ServeOptions {
  readonly socket: number;
  readonly plain: number;
  readonly credentials?: TlsCredentials;
  readonly times?: TlsPipeTimes;
}

export function serve({ socket, plain, credentials = credentialsOf("unit"), times }: ServeOptions) {
  const failures: string[] = [];
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const events = {
    secured: () => {},
    failed: (reason: string) => void failures.push(reason),
    closed: resolve,
  };
  new TlsPipe({ id: 1, side: "server", socket, plain }, {
    credentials,
    events,
    times: { ...PATIENT, ...times },
  });
  return { closed, failures };
}

/** A unit's pipe and a host's, connected; `client` and `server` are the data workers' ends. */
export function connectPipes(
  options: { client?: TlsCredentials; server?: TlsCredentials; times?: TlsPipeTimes },
) {
  const descriptors = new Descriptors();
  const [clientSocket, serverSocket] = descriptors.pair();
  const [clientPlain, clientEnd] = descriptors.pair();
  const [serverPlain, serverEnd] = descriptors.pair();
  const failures: string[] = [];
  const secured: string[] = [];
  const ends: string[] = [];
  const events = (who: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const failed = (reason: string) => void failures.push(`${who}: ${reason}`);
    const closed = () => {
      ends.push(who);
      resolve();
    };
    return { secured: () => void secured.push(who), failed, closed, promise };
  };
  const [clientEvents, serverEvents] = [events("client"), events("server")];
  const times = { ...PATIENT, ...options.times };
  const serverPipe = new TlsPipe(
    { id: 1, side: "server", socket: serverSocket, plain: serverPlain },
    { credentials: options.server ?? credentialsOf("unit"), events: serverEvents, times },
  );
  const clientPipe = new TlsPipe(
    { id: 2, side: "client", uri: UNIT_URI, socket: clientSocket, plain: clientPlain },
    { credentials: options.client ?? credentialsOf("host"), events: clientEvents, times },
  );
  const client = new Talker(clientEnd);
  const server = new Talker(serverEnd);
  const closed = Promise.all([clientEvents.promise, serverEvents.promise]);
  return {
    client,
    server,
    clientPipe,
    serverPipe,
    failures,
    secured,
    ends,
    closed,
    serverClosed: serverEvents.promise,
    /** As the data workers do: who hears an end closes its own. */
    finish: () => Promise.all([client.close(), server.close(), closed]),
    async [Symbol.asyncDispose]() {
      clientPipe.destroy();
      serverPipe.destroy();
      await Promise.all([client.close(), server.close(), closed]);
      descriptors[Symbol.dispose]();
    },
  };
}
