import { concat, utf8 } from "../../protocol/core/bytes.ts";

export interface ArchiveEntry {
  /** Without a leading slash; its folders are made as needed. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly executable?: boolean;
}

const FOLDER = 0o040755;
const FILE = 0o100644;
const PROGRAM = 0o100755;

/** An archive that the Linux kernel unpacks as its first root (cpio, "newc"). */
export function makeArchive(entries: readonly ArchiveEntry[]): Uint8Array {
  const folders = new Set<string>();
  for (const { path } of entries) {
    const parts = path.split("/").slice(0, -1);
    parts.forEach((_, i) => folders.add(parts.slice(0, i + 1).join("/")));
  }
  const none = new Uint8Array(0);
  let inode = 1;
  return concat(
    ...[...folders].map((path) => member({ path, bytes: none, mode: FOLDER, inode: inode++ })),
    ...entries.map(({ path, bytes, executable }) => {
      return member({ path, bytes, mode: executable ? PROGRAM : FILE, inode: inode++ });
    }),
    member({ path: "TRAILER!!!", bytes: none, mode: 0, inode: 0 }),
  );
}

interface Member {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode: number;
  readonly inode: number;
}

function member({ path, bytes, mode, inode }: Member): Uint8Array {
  const name = utf8(`${path}\0`);
  // Inode, mode, user, group, links, time, size, device and special device, name, checksum.
  const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const header = utf8("070701" + fields.map((n) => n.toString(16).padStart(8, "0")).join(""));
  return concat(padded(concat(header, name)), padded(bytes));
}

function padded(bytes: Uint8Array): Uint8Array {
  const rest = (4 - bytes.length % 4) % 4;
  return rest === 0 ? bytes : concat(bytes, new Uint8Array(rest));
}
