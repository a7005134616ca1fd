import type { Terminal } from "./context.ts";
import { utf8 } from "../../protocol/core/bytes.ts";

/** The part of Deno.stdout and Deno.stderr that is used here. */
export interface OutputStream {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;

/**
 * Writes synchronously, so that a line is out before the process can end. When the reader has gone
 * (`dvsan ctl events | head`), what follows is dropped and `onClosed` is called once.
 */
export function createTerminal(
  stream: OutputStream,
  options: { readonly onClosed?: () => void } = {},
): Terminal {
  let closed = false;
  const write = (text: string) => {
    if (closed) return;
    try {
      writeAll(stream, utf8(text));
    } catch {
      closed = true;
      options.onClosed?.();
    }
  };
  return {
    line: (text) => write(text + "\n"),
    write,
    isTerminal: stream.isTerminal(),
    get columns() {
      return sizeOf(stream)?.columns ?? COLUMNS_DEFAULT;
    },
    get rows() {
      return sizeOf(stream)?.rows ?? ROWS_DEFAULT;
    },
  };
}

/** A pipe that its other owner made non-blocking is tried again; other errors are thrown. */
function writeAll(stream: OutputStream, bytes: Uint8Array): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let at = 0;
  for (let attempts = 0; at < bytes.length; attempts++) {
    try {
      at += stream.writeSync(bytes.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock) || attempts > 10_000) throw error;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function sizeOf(stream: OutputStream): { columns: number; rows: number } | null {
  try {
    return stream.isTerminal() ? Deno.consoleSize() : null;
  } catch {
    return null;
  }
}
