import { DvsanError, type ErrorCode } from "../../../protocol/core/errors.ts";
import { fromUtf8 } from "../../../protocol/core/bytes.ts";
import { WEB_PORT } from "../../../protocol/core/limits.ts";
import { callLocal, LOCAL_SOCKET } from "../../../roles/host/local_call.ts";
import { stateOf } from "../machines/cluster.ts";
import type { SimRole } from "../machines/role.ts";

/** REST of a station, asked as its administrator. Rejects as the station does. */
export async function askStation<T>(
  station: SimRole,
  ask: {
    readonly method: "GET" | "POST" | "DELETE";
    readonly path: string;
    readonly body?: unknown;
  },
): Promise<T> {
  const { machine } = station;
  const { sim, http } = machine.world;
  const server = http.find({ address: machine.address, port: WEB_PORT });
  const token = fromUtf8(machine.files.get(`${stateOf(machine)}/admin.token`) ?? new Uint8Array());
  if (server === null || token === null || token === "") {
    throw new DvsanError("unavailable", `Nobody serves REST on ${machine.name}.`);
  }
  sim.touch();
  const text = ask.body === undefined ? null : JSON.stringify(ask.body);
  const response = await server.handler(
    new Request(`http://${machine.address}:${WEB_PORT}/api/v1${ask.path}`, {
      method: ask.method,
      headers: {
        Authorization: `Bearer ${token.trim()}`,
        ...(text === null ? {} : { "Content-Type": "application/json" }),
      },
      body: text,
    }),
    { address: machine.address },
  );
  const answer = await response.json();
  if (response.ok) return answer as T;
  const error = (answer as { error?: { code: ErrorCode; message: string } }).error;
  throw new DvsanError(error?.code ?? "internal", error?.message ?? `status ${response.status}`);
}

/** `dvsan disk …` on a host's machine. */
export function askAgent<T>(host: SimRole, command: string, params: unknown): Promise<T> {
  const { machine } = host;
  const { sim, http } = machine.world;
  sim.touch();
  const socketPath = `${stateOf(machine)}/${LOCAL_SOCKET}`;
  return callLocal({
    fetch: async (request, at) => {
      const server = http.find(at);
      if (server === null) throw new DvsanError("unavailable", "Nobody listens there.");
      return await server.handler(request, { address: null });
    },
    socketPath,
    call: { command, params },
    progress: (text) => sim.say(`${machine.name}'s user reads: ${text}`),
  }) as Promise<T>;
}
