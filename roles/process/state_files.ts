import { join } from "node:path";
import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { StateFiles } from "./context.ts";
import { fileProblem } from "./file_errors.ts";

const LOCK_FILE = "lock";

/**
 * A role's state directory, owner-only. A file is whole at any time; a write that throws has left
 * the old content or the new one. With `lock`, a second process is refused: the lock is the
 * kernel's (flock) and goes with the process, however that ends.
 *
 * DvsanError "usage" when the directory cannot be used, "busy" when another process has it, "io"
 * when a file cannot be read or written.
 */
export function openStateFiles(
  directory: string,
  options: { readonly lock?: boolean } = {},
): StateFiles {
  prepareDirectory(directory);
  const lock = options.lock === true ? takeLock(directory) : null;
  return new Directory(directory, lock);
}

function prepareDirectory(directory: string): void {
  try {
    Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const info = Deno.statSync(directory);
    const user = Deno.uid();
    if (info.uid !== null && user !== null && info.uid !== user) {
      throw unusable(
        directory,
        `it belongs to user ${info.uid}, and dvsan runs as user ${user}`,
        "Change its owner or choose another --state directory.",
      );
    }
    if (((info.mode ?? 0) & 0o077) !== 0) closeToOthers(directory);
  } catch (error) {
    if (error instanceof DvsanError) throw error;
    const advice = "Choose a --state directory that this user can write to.";
    throw unusable(directory, fileProblem(error), advice, error);
  }
}

/** Only a directory that is ours: taking /tmp or /var/lib from everybody else would be worse. */
function closeToOthers(directory: string): void {
  const names = [...Deno.readDirSync(directory)].map((entry) => entry.name);
  if (names.length > 0 && !names.includes(LOCK_FILE)) {
    throw unusable(
      directory,
      "others can look into it, and nothing tells that its files are dvsan's alone",
      `If they are, run: chmod 700 ${directory}. If not, name a directory of its own with --state`,
    );
  }
  Deno.chmodSync(directory, 0o700);
}

function unusable(directory: string, why: string, advice: string, cause?: unknown): DvsanError {
  const message = `Cannot use state directory ${directory}: ${why}. ${advice}`;
  return new DvsanError("usage", message, { cause });
}

function takeLock(directory: string): Deno.FsFile {
  const path = join(directory, LOCK_FILE);
  const file = openLock(directory, path);
  if (!file.tryLockSync(true)) {
    file.close();
    const holder = Deno.readTextFileSync(path).trim();
    const who = /^\d+$/.test(holder) ? `process ${holder}` : "another process";
    const message = `Cannot use state directory ${directory}: ${who} is using it. ` +
      "Stop that process or choose another --state directory.";
    throw new DvsanError("busy", message);
  }
  tellHolder(file);
  return file;
}

/** For whoever is refused; on a full disk it is not told, and the lock holds all the same. */
function tellHolder(file: Deno.FsFile): void {
  try {
    file.truncateSync(0);
    file.writeSync(new TextEncoder().encode(`${Deno.pid}\n`));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

function openLock(directory: string, path: string): Deno.FsFile {
  try {
    return Deno.openSync(path, { read: true, write: true, create: true, mode: 0o600 });
  } catch (error) {
    const advice = "Choose a --state directory that this user can write to.";
    throw unusable(directory, `${LOCK_FILE}: ${fileProblem(error)}`, advice, error);
  }
}

class Directory implements StateFiles {
  readonly directory: string;
  #lock: Deno.FsFile | null;

  constructor(directory: string, lock: Deno.FsFile | null) {
    this.directory = directory;
    this.#lock = lock;
  }

  path(name: string): string {
    assert(name !== "" && !name.includes("/") && !name.startsWith("."), `bad file name "${name}"`);
    return join(this.directory, name);
  }

  read(name: string): Uint8Array | null {
    const path = this.path(name);
    try {
      return Deno.readFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      const message = `Cannot read ${path}: ${fileProblem(error)}. Check the file and its owner.`;
      throw new DvsanError("io", message, { cause: error });
    }
  }

  write(name: string, bytes: Uint8Array): void {
    const path = this.path(name);
    const aside = join(this.directory, `.${name}.new`);
    let found = "The old content is kept.";
    try {
      writeDurably(aside, bytes);
      Deno.renameSync(aside, path);
      found = "It holds the new content now; after a power cut it may hold the old one again.";
      this.#sync();
    } catch (error) {
      const message = `Cannot write ${path}: ${fileProblem(error)}. ${found}`;
      throw new DvsanError("io", message, { cause: error });
    }
  }

  remove(name: string): void {
    const path = this.path(name);
    try {
      Deno.removeSync(path);
      this.#sync();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      const message = `Cannot remove ${path}: ${fileProblem(error)}. Check the directory's owner.`;
      throw new DvsanError("io", message, { cause: error });
    }
  }

  close(): void {
    this.#lock?.close();
    this.#lock = null;
  }

  /** A rename is durable only once its directory is. */
  #sync(): void {
    using directory = Deno.openSync(this.directory, { read: true });
    directory.syncSync();
  }
}

function writeDurably(path: string, bytes: Uint8Array): void {
  // A leftover of a crash may have any mode; a new file has exactly this one.
  removeIfThere(path);
  using file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
  let at = 0;
  while (at < bytes.length) at += file.writeSync(bytes.subarray(at));
  file.syncSync();
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
