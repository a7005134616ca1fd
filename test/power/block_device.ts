import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { waitFor } from "../wait.ts";
import type { ShellGuest } from "./shell_guest.ts";

/** A file of the guest's first root with bytes that the test knows. */
export const KNOWN_FILE = "known";
/** So many copies of it are written, and given back. */
const COPIES = 12;
/** The file system's journal: what of it is written to for the first time is allocated then. */
const JOURNAL_MIB = 4;
const SECTOR_BYTES = 512;
/** What the image's own file system may keep for the list of a file's extents. */
const EXTENTS_BYTES_MAX = 65_536;

export interface BlockDeviceOptions {
  readonly guest: ShellGuest;
  /** What nbd-client is told, without the device. */
  readonly flags: string;
  /** Where its connections lead, as ADDRESS:PORT, and how many there are. */
  readonly peer: string;
  readonly connections: number;
  readonly blockSizeBytes: number;
  /** What KNOWN_FILE holds. */
  readonly known: Uint8Array;
  /** The file in which its bytes end up, outside of the guest. */
  readonly image: string;
}

/** /dev/nbd0 of the guest, and a file system on it at /mnt. */
export class BlockDevice {
  readonly #options: BlockDeviceOptions;

  constructor(options: BlockDeviceOptions) {
    this.#options = options;
  }

  async attach(): Promise<void> {
    const { guest, flags, connections, blockSizeBytes } = this.#options;
    const more = `-connections ${connections} -block-size ${blockSizeBytes}`;
    await guest.run(`nbd-client ${flags} ${more} /dev/nbd0`);
    await guest.run("nbd-client -c /dev/nbd0");
    assert.equal(await this.#established(), connections);
    assert.equal(await this.#attribute("logical_block_size"), String(blockSizeBytes));
    assert.equal(await this.#attribute("write_cache"), "write back");
    assert.equal(await this.#attribute("fua"), "1");
    assert.notEqual(await this.#attribute("discard_max_bytes"), "0");
  }

  async detach(): Promise<void> {
    const { guest } = this.#options;
    await guest.run("nbd-client -d /dev/nbd0");
    await guest.run("! nbd-client -c /dev/nbd0");
    assert.equal(await this.#established(), 0);
  }

  /**
   * A new file system, and in it the known bytes, which are durable. The kernel has no tables left
   * to write in its own time: what is allocated is what is written to the file system.
   */
  async fill(name: string): Promise<void> {
    const { guest, blockSizeBytes } = this.#options;
    const blockBytes = Math.max(1024, blockSizeBytes);
    const layout = `-b ${blockBytes} -J size=${JOURNAL_MIB} -E lazy_itable_init=0`;
    await guest.run(`mkfs.ext4 -q -F ${layout} /dev/nbd0`);
    await this.mount();
    await this.write(name);
  }

  async mount(): Promise<void> {
    await this.#options.guest.run("mount -t ext4 /dev/nbd0 /mnt");
  }

  async unmount(): Promise<void> {
    await this.#options.guest.run("umount /mnt");
  }

  /** Writes the known bytes, and makes them durable. */
  async write(name: string): Promise<void> {
    await this.#options.guest.run(`dd if=/${KNOWN_FILE} of=/mnt/${name} bs=64k conv=fsync`);
  }

  /** The file system is whole, and so is each of the files; it is mounted afterwards. */
  async check(...names: readonly string[]): Promise<void> {
    const { guest, known } = this.#options;
    await guest.run("e2fsck -fn /dev/nbd0");
    await this.mount();
    const expected = createHash("sha256").update(known).digest("hex");
    for (const name of names) {
      assert.equal(await guest.run(`sha256sum </mnt/${name}`), `${expected}  -`, name);
    }
  }

  /** What was deleted is given back to where the bytes are. */
  async discard(): Promise<void> {
    const { guest, known } = this.#options;
    const copies = `for i in $(seq ${COPIES}); do cat /${KNOWN_FILE}; done`;
    await guest.run(`(${copies}) | dd of=/mnt/copies bs=64k conv=fsync`);
    const before = this.#allocatedBytes;
    await guest.run("rm /mnt/copies");
    const least = COPIES * known.length - (JOURNAL_MIB + 1) * 2 ** 20;
    // The file system frees blocks some time after its journal has taken the deletion. What it
    // has asked to discard it does not ask for again, so that asking more often hides nothing.
    await waitFor("the deleted bytes to be given back", async () => {
      const said = await guest.run("sync && fstrim -v /mnt");
      const after = this.#allocatedBytes;
      if (before - after >= least) return true;
      throw new Error(`${before} bytes before, ${after} after: ${said}`);
    });
  }

  /** What was written at the offset is given back by a discard of the whole device. */
  async discardWhole(offsetMib: number): Promise<void> {
    const { guest, known } = this.#options;
    await guest.run(`dd if=/${KNOWN_FILE} of=/dev/nbd0 bs=1M seek=${offsetMib} conv=fsync`);
    assert.ok(this.#allocatedBytes >= known.length);
    await guest.run("blkdiscard /dev/nbd0");
    assert.ok(this.#allocatedBytes <= EXTENTS_BYTES_MAX, `${this.#allocatedBytes} bytes are left`);
  }

  get #allocatedBytes(): number {
    return (Deno.statSync(this.#options.image).blocks ?? 0) * SECTOR_BYTES;
  }

  async #established(): Promise<number> {
    const { guest, peer } = this.#options;
    return Number(await guest.run(`netstat -tn | grep -c '${peer} *ESTABLISHED' || true`));
  }

  async #attribute(name: string): Promise<string> {
    return await this.#options.guest.run(`cat /sys/block/nbd0/queue/${name}`);
  }
}
