import { makePki } from "../interop/tls_pki.ts";
import { needs } from "../needs.ts";
import type { Medium } from "./cells.ts";
import { output } from "./processes.ts";

/** All servers serve as much, each from a file or device of its own, written from end to end. */
export const EXPORT_BYTES = 256 * 1024 * 1024;
const BLOCK_BYTES = 1024 * 1024;
/** Of one file before it is the next one's turn; also the most random bytes of one call. */
const PIECE_BYTES = 65_536;

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
  fillFiles(names.map((name) => pathOf(directory, name)));
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
  // One after the other: a disk's files are to lie in one piece each.
  for (const name of names) fillFiles([pathOf(directory, name)]);
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
 * Makes files of EXPORT_BYTES, a piece of each in turns, so that their pages lie side by side in
 * memory: what a write of 1 MiB costs depends by up to a quarter on where the file's pages lie, and
 * of files that were written one after the other each keeps a place of its own. The bytes are
 * random: holes and zeroes would make reads cheaper than they are.
 */
export function fillFiles(paths: readonly string[]): void {
  const block = new Uint8Array(BLOCK_BYTES);
  const piece = (at: number) => block.subarray(at % BLOCK_BYTES, at % BLOCK_BYTES + PIECE_BYTES);
  for (let at = 0; at < BLOCK_BYTES; at += PIECE_BYTES) crypto.getRandomValues(piece(at));
  using stack = new DisposableStack();
  const files = paths.map((path) =>
    stack.use(Deno.openSync(path, { write: true, createNew: true }))
  );
  for (let at = 0; at < EXPORT_BYTES; at += PIECE_BYTES) {
    for (const file of files) file.writeSync(piece(at));
  }
  for (const file of files) file.syncSync();
}
