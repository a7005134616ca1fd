import type { Coverage } from "../../protocol/nbd/coverage.ts";
import type { Off } from "../io/io.ts";

/**
 * One request to an NBD server, made once by its owner and sent again and again. Between
 * `ClientConnection.submit` and the owner's `answered` or `ended` it belongs to the connection, and
 * so does the payload at `off`.
 */
export class ClientRequest {
  /** COMMAND, but not disconnect. */
  command = 0;
  /** COMMAND_FLAGS. */
  flags = 0;
  position = 0;
  length = 0;
  /** A write's payload, or where a read's data or a status' descriptors go. */
  off: Off = -1;
  /** Of a status: descriptors that there is room for, and in `answered` how many there are. */
  countMax = 0;
  count = 0;
  /** In `answered`: 0, or the positive error that the server gave. */
  error = 0;

  // Owned by the connection.
  slot = -1;
  sent = false;
  answered = false;
  /** All of its data, or its status, has come. */
  isFilled = false;
  /** Its data comes in pieces, of which `coverage` knows. */
  isScattered = false;
  coverage: Coverage | null = null;
  submittedMs = 0;
}
