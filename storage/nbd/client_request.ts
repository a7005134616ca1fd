import type { Off } from "../io/io.ts";

/**
 * One request to an NBD server, made once by its owner and sent again and again. Between
 * `ClientConnection.submit` and the owner's `answered` or `ended` it belongs to the connection, and
 * so does the payload at `off`.
 */
export class ClientRequest {
  /** COMMAND.read, write, flush, trim or writeZeroes. */
  command = 0;
  /** COMMAND_FLAGS. */
  flags = 0;
  position = 0;
  length = 0;
  /** A write's payload, or where a read's goes. */
  off: Off = -1;
  /** In `answered`: 0, or the positive error that the server gave. */
  error = 0;

  // Owned by the connection.
  slot = -1;
  sent = false;
  answered = false;
  submittedMs = 0;
}
