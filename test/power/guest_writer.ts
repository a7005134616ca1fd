import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { concat, utf8 } from "../../protocol/core/bytes.ts";
import { KNOWN_FILE } from "./block_device.ts";
import type { ShellGuest } from "./shell_guest.ts";

/** Files that are written in turn. */
const FILES = 8;

/** Writes one file after another in the background of the guest, and each is made durable. */
export class GuestWriter {
  readonly #guest: ShellGuest;
  readonly #from: number;

  private constructor(guest: ShellGuest) {
    this.#guest = guest;
    this.#from = guest.lines.length;
  }

  /** Into the file system at /mnt. */
  static async start(guest: ShellGuest): Promise<GuestWriter> {
    const writer = new GuestWriter(guest);
    const file = `/mnt/file$((number % ${FILES}))`;
    const write =
      `(echo $number; cat /${KNOWN_FILE}) | dd of=${file} bs=64k conv=fsync 2>/tmp/words`;
    const round = `number=$((number + 1)); ${write} || break; echo wrote $number`;
    await guest.run(
      "rm -f /tmp/stop /tmp/stopped; " +
        `(number=0; while [ ! -f /tmp/stop ]; do ${round}; done; touch /tmp/stopped) &`,
    );
    return writer;
  }

  /** The number of the newest file that is durable. */
  get written(): number {
    const lines = this.#guest.lines.slice(this.#from);
    const numbers = lines.map((line) => /^wrote (\d+)$/.exec(line)?.[1] ?? "0");
    return Math.max(0, ...numbers.map(Number));
  }

  /** Resolves when `count` more files are durable. */
  async further(count: number): Promise<void> {
    const target = this.written + count;
    await this.#guest.until(`file ${target} to be durable`, () => this.written >= target);
  }

  async stop(): Promise<void> {
    await this.#guest.run("touch /tmp/stop; while [ ! -f /tmp/stopped ]; do usleep 20000; done");
    const words = await this.#guest.run("cat /tmp/words");
    assert.doesNotMatch(words, /error/i);
  }

  /** Every file at /mnt is as it was written last; `known` is what KNOWN_FILE holds. */
  async verify(known: Uint8Array): Promise<void> {
    const last = this.written;
    assert.ok(last >= FILES, "every file was written");
    for (let number = last - FILES + 1; number <= last; number++) {
      const bytes = concat(utf8(`${number}\n`), known);
      const expected = createHash("sha256").update(bytes).digest("hex");
      const found = await this.#guest.run(`sha256sum </mnt/file${number % FILES}`);
      assert.equal(found, `${expected}  -`, `file ${number}`);
    }
  }
}
