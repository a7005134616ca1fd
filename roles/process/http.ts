import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { HTTP_CLOSE_TIMEOUT_MS } from "../../protocol/core/limits.ts";
import type { HttpHandler, HttpPlace, HttpServer } from "./context.ts";
import { formatEndpoint } from "./endpoints.ts";

/**
 * An HTTP server on an address or a Unix socket (mode 0600; one that a dead process left is
 * replaced). DvsanError "busy" or "unavailable" when it cannot listen.
 */
export function serveHttp(at: HttpPlace, handler: HttpHandler): HttpServer {
  const abort = new AbortController();
  try {
    const server = "socketPath" in at
      ? serveUnix(at.socketPath, handler, abort.signal)
      : Deno.serve({
        hostname: at.address,
        port: at.port,
        signal: abort.signal,
        onListen: () => {},
      }, (request, info) => handler(request, { address: info.remoteAddr.hostname }));
    const local = server.addr.transport === "tcp"
      ? { address: server.addr.hostname, port: server.addr.port }
      : null;
    return { local, close: () => closeServer(server, abort) };
  } catch (error) {
    throw cannotServe(at, error);
  }
}

function serveUnix(path: string, handler: HttpHandler, signal: AbortSignal) {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const server = Deno.serve(
    { path, signal, onListen: () => {} },
    (request: Request) => handler(request, { address: null }),
  );
  Deno.chmodSync(path, 0o600);
  return server;
}

async function closeServer(
  server: { shutdown(): Promise<void>; finished: Promise<void> },
  abort: AbortController,
): Promise<void> {
  const timer = setTimeout(() => abort.abort(), HTTP_CLOSE_TIMEOUT_MS);
  await Promise.race([server.shutdown(), server.finished]);
  clearTimeout(timer);
}

function cannotServe(at: HttpPlace, error: unknown): DvsanError {
  const where = "socketPath" in at ? at.socketPath : formatEndpoint(at);
  if (error instanceof Deno.errors.AddrInUse) {
    const message = `Cannot serve HTTP on ${where}: another process has it. ` +
      "Stop that process or choose another address.";
    return new DvsanError("busy", message, { cause: error });
  }
  const message = `Cannot serve HTTP on ${where}: ${messageOf(error)}. Choose another address.`;
  return new DvsanError("unavailable", message, { cause: error });
}

/** Sends requests over TCP or Unix sockets; keeps one client for each socket. */
export class HttpClient {
  #clients = new Map<string, Deno.HttpClient>();

  /** DvsanError "unavailable" when nobody answers; any HTTP status is an answer. */
  async fetch(
    request: Request,
    options: { readonly socketPath?: string } = {},
  ): Promise<Response> {
    const { socketPath } = options;
    try {
      if (socketPath === undefined) return await fetch(request);
      return await fetch(request, { client: this.#clientOf(socketPath) });
    } catch (error) {
      request.signal.throwIfAborted();
      const where = socketPath ?? new URL(request.url).origin;
      const message = `Cannot reach ${where}: ${messageOf(error)}. Check that it is running.`;
      throw new DvsanError("unavailable", message, { cause: error });
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #clientOf(path: string): Deno.HttpClient {
    let client = this.#clients.get(path);
    if (client === undefined) {
      client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
      this.#clients.set(path, client);
    }
    return client;
  }
}
