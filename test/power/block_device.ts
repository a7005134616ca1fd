import assert from "node:assert/strict";
import type { ShellGuest } from "./shell_guest.ts";

/** A file of the guest's first root with bytes that the test knows. */
export const KNOWN_FILE = "known";
/** So many copies of it are written, and given back. */
const COPIES = 4;
const SECTOR_BYTES = 512;

export interface BlockDeviceOptions {
  readonly guest: ShellGuest;
  /** What nbd-client is told, without the device. */
  readonly flags: string;
  readonly blockSizeBytes: number;
  readonly known: { readonly sha256: string; readonly sizeBytes: number };
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
    const { guest, flags, blockSizeBytes } = this.#options;
    await guest.run(`nbd-client ${flags} -block-size ${blockSizeBytes} /dev/nbd0`);
    await guest.run("nbd-client -c /dev/nbd0");
    assert.equal(await this.#attribute("logical_block_size"), String(blockSizeBytes));
    assert.equal(await this.#attribute("write_cache"), "write back");
    assert.equal(await this.#attribute("fua"), "1");
    assert.notEqual(await this.#attribute("discard_max_bytes"), "0");
  }

  async detach(): Promise<void> {
    const { guest } = this.#options;
    await guest.run("nbd-client -d /dev/nbd0");
    await guest.run("! nbd-client -c /dev/nbd0");
  }

  /** A new file system, and in it the known bytes, which are durable. */
  async fill(name: string): Promise<void> {
    const { guest, blockSizeBytes } = this.#options;
    const blockBytes = Math.max(1024, blockSizeBytes);
    await guest.run(`mkfs.ext4 -q -F -b ${blockBytes} /dev/nbd0`);
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
    await this.writeAll([name]);
  }

  /** One after another; the guest prints "wrote NAME" after each. */
  async writeAll(names: readonly string[]): Promise<void> {
    const copy = `dd if=/${KNOWN_FILE} of=/mnt/$name bs=64k conv=fsync`;
    const each = `${copy} && echo wrote $name || exit 1`;
    await this.#options.guest.run(`for name in ${names.join(" ")}; do ${each}; done`);
  }

  /** The file system is whole, and so is each of the files; it is mounted afterwards. */
  async check(...names: readonly string[]): Promise<void> {
    const { guest, known } = this.#options;
    await guest.run("e2fsck -fn /dev/nbd0");
    await this.mount();
    for (const name of names) {
      assert.equal(await guest.run(`sha256sum </mnt/${name}`), `${known.sha256}  -`, name);
    }
  }

  /** What was deleted is given back to where the bytes are. */
  async discard(): Promise<void> {
    const { guest, known } = this.#options;
    for (let i = 0; i < COPIES; i++) await this.write(`copy${i}`);
    const before = this.#allocatedBytes;
    await guest.run("rm /mnt/copy* && sync && fstrim /mnt && sync");
    const after = this.#allocatedBytes;
    const least = (COPIES - 1) * known.sizeBytes;
    assert.ok(before - after >= least, `${before} bytes before, ${after} after`);
  }

  get #allocatedBytes(): number {
    return (Deno.statSync(this.#options.image).blocks ?? 0) * SECTOR_BYTES;
  }

  async #attribute(name: string): Promise<string> {
    return await this.#options.guest.run(`cat /sys/block/nbd0/queue/${name}`);
  }
}
