/** Counters of one server, since its start. Only the server writes them. */
export interface ServerFigures {
  /** Open now. */
  connections: number;
  /** Of those, the ones that have not reached transmission. */
  negotiating: number;
  accepted: number;
  /** Turned away at once: a cap was reached. */
  turnedAway: number;
  reads: number;
  readBytes: number;
  writes: number;
  writtenBytes: number;
  flushes: number;
  discards: number;
  zeroes: number;
  /** Requests refused before a device saw them. */
  refused: number;
  /** Requests that a device ended with an error. */
  deviceErrors: number;
  /** Times that a request had to wait for a buffer. */
  bufferWaits: number;
}

export function zeroFigures(): ServerFigures {
  return {
    connections: 0,
    negotiating: 0,
    accepted: 0,
    turnedAway: 0,
    reads: 0,
    readBytes: 0,
    writes: 0,
    writtenBytes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    refused: 0,
    deviceErrors: 0,
    bufferWaits: 0,
  };
}
