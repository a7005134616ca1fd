import { createHash, timingSafeEqual } from "node:crypto";
import { fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import type { Random } from "../../protocol/core/random.ts";
import { METRICS_CONTENT_TYPE } from "../../protocol/metrics/text.ts";
import type { HttpHandler, StateFiles } from "./context.ts";

const TOKEN_BYTES = 32;

/** Lets a reader of metrics in, and nobody else. */
export const METRICS_TOKEN_FILE = "metrics.token";

/** The token in a file of the state directory; a new one when the file is missing or empty. */
export function tokenIn(
  files: Pick<StateFiles, "read" | "write">,
  { name, random }: { readonly name: string; readonly random: Random },
): string {
  const found = fromUtf8(files.read(name) ?? new Uint8Array())?.trim();
  if (found !== undefined && found.length >= TOKEN_BYTES) return found;
  const token = hexOf(random.bytes(TOKEN_BYTES));
  files.write(name, utf8(`${token}\n`));
  return token;
}

/** Whether two tokens are one; neither length nor content shows in the time it takes. */
export function isSameToken(given: string, expected: string): boolean {
  const digestOf = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digestOf(given), digestOf(expected));
}

/** Answers GET /metrics to who sends one of the tokens. */
export function answerMetrics(tokens: readonly string[], text: () => string): HttpHandler {
  return (request) => {
    if (new URL(request.url).pathname !== "/metrics") {
      return new Response("There is only /metrics here.\n", { status: 404 });
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Use GET.\n", { status: 405, headers: { Allow: "GET, HEAD" } });
    }
    const header = request.headers.get("Authorization") ?? "";
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
    if (given === undefined || !tokens.some((token) => isSameToken(given, token))) {
      return new Response(
        'This needs a token: send "Authorization: Bearer" with the content of metrics.token.\n',
        { status: 401, headers: { "WWW-Authenticate": 'Bearer realm="dvsan metrics"' } },
      );
    }
    return new Response(text(), { headers: { "Content-Type": METRICS_CONTENT_TYPE } });
  };
}
