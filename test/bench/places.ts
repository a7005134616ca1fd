import { makePki } from "../interop/tls_pki.ts";
import { needs } from "../needs.ts";
import type { Medium } from "./cells.ts";
import { output } from "./processes.ts";

/** All servers serve as much, each from a file or device of its own, written from end to end. */
export const EXPORT_BYTES = 256 * 1024 * 1024;
const FILL_BYTES = 1024 * 1024;
/** Of one call of `getRandomValues`. */
const RANDOM_BYTES_MAX = 65_536;

/** Where servers get what they serve. */
export interface Place {
  readonly medium: Medium;
  readonly directory: string;
  /** Directory with the certificates of a server that is to require TLS. */
  readonly certificates?: string;
  /** A new file or device with bytes in it; what it needs is given back by the stack. */
  filled(name: string, stack: AsyncDisposableStack): Promise<string>;
}

/** A folder on tmpfs. */
export function tmpfsPlace(directory: string): Place & { filled(name: string): Promise<string> } {
  return {
    medium: "tmpfs",
    directory,
    filled: (name: string) => Promise.resolve(filledFile(`${directory}/${name}.img`)),
  };
}

/** The same, for servers that require TLS, with certificates made for this run. */
export async function tlsPlace(directory: string): Promise<Place> {
  const certificates = `${directory}/certificates`;
  for (const made of [directory, certificates]) Deno.mkdirSync(made);
  await makePki(certificates);
  return { ...tmpfsPlace(directory), medium: "tls", certificates: `${certificates}/good` };
}

export function tlsLacks(): string | null {
  return needs({ tools: ["nbdcopy", "openssl"] });
}

/** Loop devices over files of a folder on a disk, past the page cache of the file below. */
export function directPlace(directory: string): Place {
  return {
    medium: "direct",
    directory,
    filled: async (name, stack) => {
      const file = filledFile(`${directory}/${name}.img`);
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

/** Random: holes and zeroes would make reads cheaper than they are. */
function filledFile(path: string): string {
  const block = new Uint8Array(FILL_BYTES);
  for (let at = 0; at < FILL_BYTES; at += RANDOM_BYTES_MAX) {
    crypto.getRandomValues(block.subarray(at, at + RANDOM_BYTES_MAX));
  }
  using file = Deno.openSync(path, { write: true, createNew: true });
  for (let written = 0; written < EXPORT_BYTES; written += block.length) file.writeSync(block);
  file.syncSync();
  return path;
}
