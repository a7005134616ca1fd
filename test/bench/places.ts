import { makePki } from "../interop/tls_pki.ts";
import { needs } from "../needs.ts";
import type { Medium } from "./cells.ts";
import { output } from "./processes.ts";

/** All servers serve as much, each from a file or device of its own, written from end to end. */
export const EXPORT_BYTES = 256 * 1024 * 1024;
const FILL_BYTES = 1024 * 1024;
/** Of one call of `getRandomValues`. */
const RANDOM_BYTES_MAX = 65_536;
/** Of one file before it is the next one's turn: on tmpfs, and on a disk, where a piece is whole. */
const PIECE_BYTES = { tmpfs: 65_536, direct: 8 * FILL_BYTES };

/** Where servers get what they serve. */
export interface Place {
  readonly medium: Medium;
  readonly directory: string;
  /** Directory with the certificates of a server that is to require TLS. */
  readonly certificates?: string;
  /** One of its files, or a device over it; what that needs is given back by the stack. */
  filled(name: string, stack: AsyncDisposableStack): Promise<string>;
}

/** A folder on tmpfs, with new files of these names in it. */
export function tmpfsPlace(directory: string, names: readonly string[]): Place {
  fillFiles(names.map((name) => pathOf(directory, name)), "tmpfs");
  return {
    medium: "tmpfs",
    directory,
    filled: (name) => Promise.resolve(pathOf(directory, name)),
  };
}

/** The same, for servers that require TLS, with certificates made for this run. */
export async function tlsPlace(directory: string, names: readonly string[]): Promise<Place> {
  const certificates = `${directory}/certificates`;
  for (const made of [directory, certificates]) Deno.mkdirSync(made);
  await makePki(certificates);
  return { ...tmpfsPlace(directory, names), medium: "tls", certificates: `${certificates}/good` };
}

export function tlsLacks(): string | null {
  return needs({ tools: ["nbdcopy", "openssl"] });
}

/** Loop devices over files of a folder on a disk, past the page cache of the file below. */
export function directPlace(directory: string, names: readonly string[]): Place {
  fillFiles(names.map((name) => pathOf(directory, name)), "direct");
  return {
    medium: "direct",
    directory,
    filled: async (name, stack) => {
      const file = pathOf(directory, name);
      const device = (await output(["losetup", "--direct-io=on", "--find", "--show", file])).trim();
      stack.defer(async () => void await output(["losetup", "--detach", device]));
      return device;
    },
  };
}

/** Why there can be no such devices, or null. */
export function directLacks(): string | null {
  return needs({ tools: ["losetup"], loop: true });
}

function pathOf(directory: string, name: string): string {
  return `${directory}/${name}.img`;
}

/**
 * Makes files of EXPORT_BYTES, a piece of each in turns, so that they lie side by side in memory or
 * on the disk: what a transfer of 1 MiB costs depends on where that is, by up to a quarter, and of
 * files that are written one after the other each has a place of its own. The bytes are random:
 * holes and zeroes would make reads cheaper than they are.
 */
export function fillFiles(paths: readonly string[], medium: "tmpfs" | "direct"): void {
  const block = new Uint8Array(FILL_BYTES);
  for (let at = 0; at < FILL_BYTES; at += RANDOM_BYTES_MAX) {
    crypto.getRandomValues(block.subarray(at, at + RANDOM_BYTES_MAX));
  }
  const pieceBytes = PIECE_BYTES[medium];
  using stack = new DisposableStack();
  const open = (path: string) => Deno.openSync(path, { write: true, createNew: true });
  const files = paths.map((path) => stack.use(open(path)));
  for (let at = 0; at < EXPORT_BYTES; at += pieceBytes) {
    for (const file of files) writePiece(file, block, { at, pieceBytes });
  }
}

function writePiece(
  file: Deno.FsFile,
  block: Uint8Array,
  { at, pieceBytes }: { readonly at: number; readonly pieceBytes: number },
): void {
  for (let done = 0; done < pieceBytes;) {
    const from = (at + done) % FILL_BYTES;
    done += file.writeSync(block.subarray(from, Math.min(from + pieceBytes - done, FILL_BYTES)));
  }
  // A file system on a disk finds a place for what is to be written out, all of it at once.
  file.syncDataSync();
}
