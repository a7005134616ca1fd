import { z } from "zod";
import { DvsanError, ERROR_CODES, fromPlainError } from "../../protocol/core/errors.ts";
import { fromUtf8 } from "../../protocol/core/bytes.ts";
import type { ProcessContext } from "../process/context.ts";

const Failure = z.object({
  error: z.object({
    code: z.enum(ERROR_CODES).catch("internal"),
    message: z.string(),
    details: z.unknown().optional(),
  }),
});

export interface StationClientOptions {
  /** "http://127.0.0.1:8080", without a slash at its end. */
  readonly station: string;
  readonly token: string;
  readonly fetch: ProcessContext["fetch"];
}

/** The token of a file: one line. Throws DvsanError "usage" when there is none in it. */
export function readToken(path: string, process: Pick<ProcessContext, "readFile">): string {
  const token = fromUtf8(process.readFile(path))?.trim() ?? "";
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new DvsanError(
    "usage",
    `${path} holds no token. Name the station's admin.token with --token-file.`,
  );
}

/** The station's REST API, for the command line. */
export class StationClient {
  readonly #options: StationClientOptions;

  constructor(options: StationClientOptions) {
    this.#options = options;
  }

  async get<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S>> {
    return await this.#ask(path, schema, {});
  }

  async post<S extends z.ZodType>(path: string, body: unknown, schema: S): Promise<z.infer<S>> {
    return await this.#ask(path, schema, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  async delete<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S>> {
    return await this.#ask(path, schema, { method: "DELETE" });
  }

  /** The `data` of every server-sent event, until the station or `signal` ends the stream. */
  async *stream(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.#send(path, { signal });
    if (response.body === null) return;
    let pending = "";
    try {
      for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
        pending += text;
        const blocks = pending.split("\n\n");
        pending = blocks.pop() ?? "";
        for (const block of blocks) {
          const data = block.split("\n").filter((line) => line.startsWith("data: "));
          if (data.length > 0) yield data.map((line) => line.slice(6)).join("\n");
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #ask<S extends z.ZodType>(path: string, schema: S, init: RequestInit) {
    const response = await this.#send(path, init);
    const body = await response.json().catch((cause) => {
      const text = "The station went away while it answered: ask it again.";
      throw new DvsanError("unavailable", text, { cause });
    });
    const answer = schema.safeParse(body);
    if (answer.success) return answer.data;
    throw new DvsanError(
      "unsupported",
      `The station's answer to ${path} is not understood: ${z.prettifyError(answer.error)}. ` +
        "Use a dvsan of the station's version.",
    );
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const { station, token, fetch } = this.#options;
    const headers = new Headers(init.headers);
    headers.set("Authorization", `Bearer ${token}`);
    let response: Response;
    try {
      response = await fetch(new Request(`${station}/api/v1${path}`, { ...init, headers }));
    } catch (cause) {
      throw new DvsanError(
        "unavailable",
        `Cannot reach the station at ${station}. Start it, or say where it is with --station.`,
        { cause },
      );
    }
    if (response.ok) return response;
    const failure = Failure.safeParse(await response.json().catch(() => null));
    if (failure.success) {
      const { code, message, details } = failure.data.error;
      throw fromPlainError({ code, message, details });
    }
    throw new DvsanError(
      "unavailable",
      `${station} answered ${response.status} and does not seem to be a dvsan station.`,
    );
  }
}
