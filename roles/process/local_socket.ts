import {
  DvsanError,
  fromPlainError,
  type PlainError,
  toPlainError,
} from "../../protocol/core/errors.ts";
import { LOCAL_LINE_BYTES_MAX, UNIX_PATH_BYTES_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";

/**
 * How `dvsan disk` talks to the host's agent: a Unix socket in the agent's state directory, which
 * only its owner can enter. One JSON line asks; lines with `progress` follow, and one line with
 * `result` or `error` ends it.
 */
export interface LocalCall {
  readonly command: string;
  readonly params: unknown;
}

export type LocalAnswer = (
  call: LocalCall,
  options: { progress: (text: string) => void; signal: AbortSignal },
) => Promise<unknown>;

export interface LocalServer {
  close(): Promise<void>;
}

/** Why a Unix socket cannot have this path, or null. */
export function invalidSocketPath(path: string): string | null {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= UNIX_PATH_BYTES_MAX) return null;
  return `The path ${path} is ${bytes} bytes long and a Unix socket's may have ` +
    `${UNIX_PATH_BYTES_MAX}. Choose a shorter --state directory.`;
}

/** Serves calls at `path`, replacing a socket that nobody serves any more. */
export function serveLocal(options: {
  path: string;
  log: Log;
  answer: LocalAnswer;
}): LocalServer {
  const { path, log } = options;
  const invalid = invalidSocketPath(path);
  if (invalid !== null) throw new DvsanError("usage", invalid);
  removeIfThere(path);
  const listener = Deno.listen({ transport: "unix", path });
  Deno.chmodSync(path, 0o600);
  const open = new Set<Deno.UnixConn>();
  const serving = (async () => {
    const answers = new Set<Promise<void>>();
    for await (const connection of listener) {
      open.add(connection);
      const answered = answerOne(connection, options.answer).catch((error) =>
        log.debug("a local call ended early", { reason: String(error) })
      ).finally(() => {
        open.delete(connection);
        closeQuietly(connection);
        answers.delete(answered);
      });
      answers.add(answered);
    }
    await Promise.all(answers);
  })();
  return {
    async close() {
      listener.close();
      for (const connection of open) closeQuietly(connection);
      await serving;
      removeIfThere(path);
    },
  };
}

async function answerOne(connection: Deno.UnixConn, answer: LocalAnswer): Promise<void> {
  const lines = readLines(connection);
  const gone = new AbortController();
  const first = await lines.next();
  if (first.done) return;
  // The asker says nothing more: an end of its stream means that it went away.
  const watching = lines.next().catch(() => {}).then(() =>
    gone.abort(
      new DvsanError("cancelled", "The asker went away."),
    )
  );
  const send = (line: unknown) => writeAll(connection, JSON.stringify(line) + "\n");
  let sending: Promise<unknown> = Promise.resolve();
  const progress = (text: string) => {
    sending = sending.then(() => send({ progress: text })).catch(() => {});
  };
  let last: { result: unknown } | { error: PlainError };
  try {
    const call = JSON.parse(first.value) as LocalCall;
    last = { result: await answer(call, { progress, signal: gone.signal }) ?? null };
  } catch (error) {
    last = { error: toPlainError(error) };
  }
  await sending;
  await send(last);
  closeQuietly(connection);
  await watching;
}

/** Asks the agent at `path`; rejects with its error, or with "unavailable" when none is there. */
export async function callLocal(options: {
  path: string;
  call: LocalCall;
  progress: (text: string) => void;
}): Promise<unknown> {
  using connection = await connectLocal(options.path);
  await writeAll(connection, JSON.stringify(options.call) + "\n");
  for await (const line of readLines(connection)) {
    const message = JSON.parse(line) as
      | { progress: string }
      | { result: unknown }
      | { error: PlainError };
    if ("progress" in message) options.progress(message.progress);
    else if ("error" in message) throw fromPlainError(message.error);
    else return message.result;
  }
  throw new DvsanError("unavailable", "The host's agent stopped before it answered. Ask again.");
}

async function connectLocal(path: string): Promise<Deno.UnixConn> {
  try {
    return await Deno.connect({ transport: "unix", path });
  } catch (cause) {
    const why = cause instanceof Deno.errors.PermissionDenied
      ? "you are not allowed to use it; run this as the user that runs dvsan host"
      : "no agent answers there; start dvsan host, or name its directory with --state";
    throw new DvsanError("unavailable", `Cannot reach the host's agent at ${path}: ${why}.`, {
      cause,
    });
  }
}

async function* readLines(connection: Deno.UnixConn): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(16 * 1024);
  let pending = "";
  for (;;) {
    const count = await connection.read(chunk);
    if (count === null) return;
    pending += decoder.decode(chunk.subarray(0, count), { stream: true });
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    yield* lines;
    if (pending.length > LOCAL_LINE_BYTES_MAX) {
      throw new DvsanError("limit", `A line is longer than ${LOCAL_LINE_BYTES_MAX} characters.`);
    }
  }
}

async function writeAll(connection: Deno.UnixConn, text: string): Promise<void> {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) rest = rest.subarray(await connection.write(rest));
}

function closeQuietly(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
