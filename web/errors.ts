import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import { DvsanError, type ErrorCode, toPlainError } from "../protocol/core/errors.ts";
import type { Log } from "../protocol/core/log.ts";

/** The body of every answer that is not a success. */
export const ErrorBody = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    details: z.unknown().optional(),
  }),
});

const STATUS: Readonly<Partial<Record<ErrorCode, ContentfulStatusCode>>> = {
  usage: 400,
  invalid: 400,
  denied: 403,
  "not-found": 404,
  unknown: 404,
  exists: 409,
  busy: 409,
  fencing: 409,
  "sequence-mismatch": 409,
  "stale-epoch": 409,
  "stale-generation": 409,
  "no-space": 507,
  quota: 403,
  limit: 429,
  unavailable: 503,
  draining: 503,
  timeout: 504,
  unsupported: 501,
};

/** HTTP status of an error code; 500 for our own mistakes. */
export function statusOf(code: ErrorCode): ContentfulStatusCode {
  return STATUS[code] ?? 500;
}

/** An `onError` handler: typed errors become their status, anything else is logged and hidden. */
export function answerErrors(log: Log): (error: Error, context: Context) => Response {
  return function answerError(error, context) {
    if (error instanceof DvsanError) {
      return context.json({ error: toPlainError(error) }, statusOf(error.code));
    }
    log.error("a request failed by a bug", { path: context.req.path, reason: error.message });
    const message = "The station failed to answer because of a bug. Its log says more.";
    return context.json({ error: { code: "internal", message } }, 500);
  };
}
