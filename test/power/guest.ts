import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import type { Lab } from "../e2e/lab.ts";
import type { Program } from "../e2e/program.ts";
import type { Chance } from "../fuzz/chance.ts";
import type { Kernel } from "../runner/kernel.ts";
import { DiskServer } from "./disk_server.ts";
import { emulator } from "./emulator.ts";
import { VolatileDisk } from "./volatile_disk.ts";

/** A machine that is emulated takes its time to come up, the more so on a busy one. */
const BOOT_MS_MAX = 600_000;
const MEMORY_MIB = 768;

export interface GuestOptions {
  readonly lab: Lab;
  /** The machine of the lab whose address and ports it has. */
  readonly machine: string;
  readonly kernel: Kernel;
  /** From makeGuestImage. */
  readonly root: string;
  /** Images of its disks, in order. */
  readonly disks: readonly string[];
}

/**
 * A machine that can lose its power: Debian's kernel in qemu, with disks that forget what was not
 * flushed. It stands behind an address of the lab, which hands port 10809 to it.
 */
export class Guest {
  readonly disks: readonly VolatileDisk[];
  readonly #options: GuestOptions;
  #servers: DiskServer[] = [];
  #qemu: Program | null = null;
  #boots = 0;

  constructor(options: GuestOptions) {
    this.#options = options;
    this.disks = options.disks.map((path) => new VolatileDisk(path));
  }

  /** Its console since it was last switched on. */
  get console(): readonly string[] {
    return this.#qemu?.lines ?? [];
  }

  /** Switches it on and waits until dvsan in it is ready. */
  async start(): Promise<void> {
    const { lab, machine, kernel, root } = this.#options;
    assert.ok(this.#qemu === null, "it is off");
    this.#boots++;
    this.#servers = this.disks.map((disk, i) =>
      new DiskServer(disk, `${lab.directory}/disk-${i}-${this.#boots}`)
    );
    const drives = this.#servers.flatMap(({ socketPath }, i) => [
      ...[
        "-drive",
        `if=none,id=d${i},format=raw,file.driver=nbd,file.server.type=unix,` +
        `file.server.path=${socketPath},cache=writeback,discard=ignore,werror=report`,
      ],
      ...["-device", `virtio-blk-pci,drive=d${i},id=disk${i}`],
    ]);
    this.#qemu = await lab.spawn(machine, [
      ...emulator({ kernel, root, memoryMib: MEMORY_MIB, forward: "hostfwd=tcp::10809-:10809" }),
      ...drives,
      ...["-monitor", `unix:${this.#monitor},server=on,wait=off`],
    ]);
    await this.#untilReady(this.#qemu);
  }

  /** What `work` comes to, or a failure when the machine ends first: its dvsan has. */
  async whileOn<T>(work: Promise<T>): Promise<T> {
    const qemu = this.#qemu;
    assert.ok(qemu !== null, "it is on");
    const ended = qemu.ended.then(() => {
      throw new Error(`the machine ended by itself:\n${qemu.lines.slice(-30).join("\n")}`);
    });
    return await Promise.race([work, ended]);
  }

  /** Asks its kernel to let a disk go, which is taken out then, while the machine runs. */
  async unplug(index: number): Promise<void> {
    using monitor = await Deno.connect({ transport: "unix", path: this.#monitor });
    await monitor.write(utf8(`device_del disk${index}\n`));
    const text = new TextDecoder();
    const bytes = new Uint8Array(4096);
    // A prompt before what was said, and one after it.
    for (let heard = ""; heard.split("(qemu)").length <= 2;) {
      const count = await monitor.read(bytes);
      assert.ok(count !== null, `the machine's monitor ended: ${heard}`);
      heard += text.decode(bytes.subarray(0, count));
      assert.doesNotMatch(heard, /Error/);
    }
  }

  get #monitor(): string {
    return `${this.#options.lab.directory}/monitor-${this.#boots}`;
  }

  /** Its power fails, with all that that takes: nobody hears a word of it. */
  async cutPower(chance: Chance): Promise<void> {
    const { lab, machine } = this.#options;
    for (const disk of this.disks) disk.hasPower = false;
    await lab.cut(machine);
    await this.#qemu?.kill();
    this.#qemu = null;
    for (const server of this.#servers.splice(0)) await server.close();
    for (const disk of this.disks) disk.cutPower(chance);
    await lab.heal(machine);
  }

  async close(chance: Chance): Promise<void> {
    await this.cutPower(chance);
    for (const disk of this.disks) disk.close();
  }

  async #untilReady(qemu: Program): Promise<void> {
    const endMs = performance.now() + BOOT_MS_MAX;
    let status: number | null = null;
    void qemu.ended.then((ended) => status = ended);
    while (!qemu.lines.some((line) => line.includes('{"ready":"unit"'))) {
      const words = [...qemu.log, ...qemu.lines].slice(-30).join("\n");
      assert.equal(status, null, `the machine ended before it was ready:\n${words}`);
      assert.ok(performance.now() < endMs, `the machine is not ready:\n${words}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
