/**
 * Errors that peers, disks and users cause. The code is what programs branch on and what travels in
 * REFUSED packets, mailbox answers and REST bodies; the message is for people and says what could
 * not be done, why, and what to do next.
 */

export const ERROR_CODES = [
  "usage", // wrong flag, bad size, missing file: exit status 2
  "invalid", // malformed or out-of-range input
  "not-found",
  "exists", // the name or id is taken by something else
  "no-space",
  "quota",
  "busy", // locked, in use, or being zeroed: try again later
  "not-zeroed",
  "draining",
  "denied", // not authenticated, or not yours
  "fenced",
  "fencing", // under way, not done
  "unknown", // a grant, session or volume the answerer does not know
  "stale-epoch",
  "stale-generation",
  "sequence-mismatch",
  "foreign", // a medium that belongs to another unit or cluster, or holds something else
  "unavailable", // the other side cannot be reached now
  "timeout",
  "cancelled",
  "io", // a medium failed
  "unsupported",
  "limit", // a table, queue or size limit was reached
  "internal", // a bug on the other side
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A mistake of a peer, a disk or a user. */
export class DvsanError extends Error {
  override readonly name = "DvsanError";
  readonly code: ErrorCode;
  /** Machine-readable particulars, JSON-able: for example the reason for every unit. */
  readonly details: unknown;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.details = options.details;
  }
}

/** The plain form of an error that travels between threads, processes and machines. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: unknown;
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof DvsanError) {
    const plain = { code: error.code, message: error.message };
    return error.details === undefined ? plain : { ...plain, details: error.details };
  }
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}

export function fromPlainError(plain: PlainError): DvsanError {
  return new DvsanError(plain.code, plain.message, { details: plain.details });
}

/** Words for a log line or a terminal: the message and the messages of its causes. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : ` (${messageOf(error.cause)})`;
  return error.message + cause;
}
