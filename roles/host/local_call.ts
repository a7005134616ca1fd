import {
  DvsanError,
  fromPlainError,
  type PlainError,
  toPlainError,
} from "../../protocol/core/errors.ts";
import { LOCAL_LINE_BYTES_MAX, UNIX_PATH_BYTES_MAX } from "../../protocol/core/limits.ts";

/**
 * How `dvsan disk` talks to the host's agent: one HTTP request over a Unix socket in the agent's
 * state directory, which only its owner can enter. The answer is a stream of JSON lines: any
 * number with `progress`, then one with `result` or `error`.
 */
export interface LocalCall {
  readonly command: string;
  readonly params: unknown;
}

export type LocalAnswer = (
  call: LocalCall,
  options: { readonly progress: (text: string) => void; readonly signal: AbortSignal },
) => Promise<unknown>;

type LocalLine = { progress: string } | { result: unknown } | { error: PlainError };

export const LOCAL_SOCKET = "agent.sock";

/** Why a Unix socket cannot have this path, or null. */
export function invalidSocketPath(path: string): string | null {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes <= UNIX_PATH_BYTES_MAX) return null;
  return `The path ${path} is ${bytes} bytes long and a Unix socket's may have ` +
    `${UNIX_PATH_BYTES_MAX}. Choose a shorter --state directory.`;
}

/** An HTTP handler that answers calls by `answer`. */
export function answerLocalCalls(answer: LocalAnswer): (request: Request) => Promise<Response> {
  return async function localCalls(request) {
    const call = await readCall(request);
    const gone = new AbortController();
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const send = (line: LocalLine) => {
          if (!gone.signal.aborted) controller.enqueue(encoder.encode(JSON.stringify(line) + "\n"));
        };
        const options = { progress: (progress: string) => send({ progress }), signal: gone.signal };
        void answerOne(call, answer, options).then((line) => {
          send(line);
          if (!gone.signal.aborted) controller.close();
        });
      },
      cancel() {
        gone.abort(new DvsanError("cancelled", "The asker went away."));
      },
    });
    return new Response(body, { headers: { "Content-Type": "application/x-ndjson" } });
  };
}

async function readCall(request: Request): Promise<LocalCall | DvsanError> {
  try {
    const call = await request.json() as Partial<LocalCall> | null;
    if (typeof call?.command === "string") return { command: call.command, params: call.params };
  } catch {
    // Not JSON: answered below like any other wrong call.
  }
  return new DvsanError("invalid", "A call is a JSON object with a command.");
}

async function answerOne(
  call: LocalCall | DvsanError,
  answer: LocalAnswer,
  options: Parameters<LocalAnswer>[1],
): Promise<LocalLine> {
  try {
    if (call instanceof DvsanError) throw call;
    return { result: await answer(call, options) ?? null };
  } catch (error) {
    return { error: toPlainError(error) };
  }
}

export interface LocalCallOptions {
  readonly fetch: (request: Request, options: { socketPath: string }) => Promise<Response>;
  readonly socketPath: string;
  readonly call: LocalCall;
  readonly progress: (text: string) => void;
}

/** Asks the agent; rejects with its error, or with "unavailable" when none answers. */
export async function callLocal(options: LocalCallOptions): Promise<unknown> {
  const { socketPath } = options;
  const request = new Request("http://agent/call", {
    method: "POST",
    body: JSON.stringify(options.call),
  });
  let response: Response;
  try {
    response = await options.fetch(request, { socketPath });
  } catch (cause) {
    throw new DvsanError(
      "unavailable",
      `Cannot reach the host's agent at ${socketPath}. Start dvsan host, name its directory ` +
        "with --state, and run this as the user that runs it.",
      { cause },
    );
  }
  for await (const line of readLines(response)) {
    const message = JSON.parse(line) as LocalLine;
    if ("progress" in message) options.progress(message.progress);
    else if ("error" in message) throw fromPlainError(message.error);
    else return message.result;
  }
  throw stoppedEarly();
}

function stoppedEarly(cause?: unknown): DvsanError {
  const message = "The host's agent stopped before it answered. Its log says why; ask again.";
  return new DvsanError("unavailable", message, { cause });
}

async function* readLines(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  let pending = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((cause) => {
      throw stoppedEarly(cause);
    });
    if (done) return;
    pending += value;
    const lines = pending.split("\n");
    pending = lines.pop() ?? "";
    yield* lines;
    if (pending.length > LOCAL_LINE_BYTES_MAX) {
      throw new DvsanError("limit", `A line is longer than ${LOCAL_LINE_BYTES_MAX} characters.`);
    }
  }
}
