import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import type { Lab } from "../e2e/lab.ts";
import type { Program } from "../e2e/program.ts";
import type { Chance } from "../fuzz/chance.ts";
import type { Kernel } from "../runner/kernel.ts";
import { waitFor } from "../wait.ts";
import { DiskServer } from "./disk_server.ts";
import { emulator } from "./emulator.ts";
import { VolatileDisk } from "./volatile_disk.ts";

/** A machine that is emulated takes its time to come up, the more so on a busy one. */
const BOOT_MS_MAX = 600_000;
const MEMORY_MIB = 768;

export interface GuestDisk {
  readonly path: string;
  /** One of scsi is gone at once; the other's kernel waits for what is under way. */
  readonly bus: "virtio" | "scsi";
}

export interface GuestOptions {
  readonly lab: Lab;
  /** The machine of the lab whose address and ports it has. */
  readonly machine: string;
  readonly kernel: Kernel;
  /** From makeGuestImage. */
  readonly root: string;
  /** Their serial numbers in it are "disk0", "disk1" and so on. */
  readonly disks: readonly GuestDisk[];
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
  #drives = 0;

  constructor(options: GuestOptions) {
    this.#options = options;
    this.disks = options.disks.map(({ path }) => new VolatileDisk(path));
  }

  /** Its console since it was last switched on. */
  get console(): readonly string[] {
    return this.#qemu?.lines ?? [];
  }

  /** Switches it on and waits until dvsan in it is ready. */
  async start(): Promise<void> {
    const { lab, machine, kernel, root, disks } = this.#options;
    assert.ok(this.#qemu === null, "it is off");
    this.#boots++;
    this.#servers = this.disks.map((disk, i) =>
      new DiskServer(disk, `${lab.directory}/disk-${i}-${this.#boots}`)
    );
    const drives = this.#servers.flatMap((_, i) => {
      const { drive, device } = this.#wordsOf(i);
      return ["-drive", drive, "-device", device];
    });
    const adapter = disks.some(({ bus }) => bus === "scsi") ? ["-device", "virtio-scsi-pci"] : [];
    this.#qemu = await lab.spawn(machine, [
      ...emulator({ kernel, root, memoryMib: MEMORY_MIB, forward: "hostfwd=tcp::10809-:10809" }),
      ...[...adapter, ...drives],
      ...["-qmp", `unix:${this.#monitor},server=on,wait=off`],
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
    assert.equal(await (await this.#send(`device_del disk${index}`)).answer, "");
  }

  /**
   * Tears a disk out of the machine while it runs: what was asked of it and not answered is
   * answered by nobody, its kernel has to let it go, and its cache loses what a power cut takes.
   */
  async tearOut(index: number, chance: Chance): Promise<void> {
    const { answer } = await this.#send(`device_del disk${index}`);
    // Before the answer: qemu gives it once nothing of the disk is under way.
    this.disks[index]!.hasPower = false;
    this.#servers[index]!.pull();
    assert.equal(await answer, "");
    await waitFor("the disk to be out", async () => {
      const devices = await (await this.#send("qom-list /machine/peripheral")).answer;
      assert.match(devices, /child</, "it tells of devices");
      return !devices.includes(`disk${index} (`);
    }, BOOT_MS_MAX);
    // Not sooner: qemu connects anew for a disk that it still has, which would be as if whole.
    this.disks[index]!.cutPower(chance);
  }

  /** Puts it back. */
  async plugIn(index: number): Promise<void> {
    const { drive, device } = this.#wordsOf(index);
    assert.match(await (await this.#send(`drive_add 0 ${drive}`)).answer, /^OK\s*$/);
    assert.equal(await (await this.#send(`device_add ${device}`)).answer, "");
  }

  /** From now on requests of the disk stay unanswered, until it is taken out. */
  stall(index: number): void {
    this.#servers[index]!.isStalled = true;
  }

  /** Requests that its disk has left unanswered. */
  unanswered(index: number): number {
    return this.#servers[index]!.unanswered;
  }

  /** What qemu is told of a disk, under a name of the drive that it had not yet. */
  #wordsOf(index: number): { readonly drive: string; readonly device: string } {
    const { socketPath } = this.#servers[index]!;
    const id = `d${this.#drives++}`;
    const driver = this.#options.disks[index]!.bus === "scsi" ? "scsi-hd" : "virtio-blk-pci";
    return {
      drive: `if=none,id=${id},format=raw,file.driver=nbd,file.server.type=unix,` +
        `file.server.path=${socketPath},cache=writeback,discard=ignore,werror=report`,
      device: `${driver},drive=${id},id=disk${index},serial=disk${index}`,
    };
  }

  /** Sends a command to qemu's monitor; `answer` is what it prints, where it succeeds mostly "". */
  async #send(command: string): Promise<{ readonly answer: Promise<string> }> {
    const monitor = await Deno.connect({ transport: "unix", path: this.#monitor });
    const requests = [
      { execute: "qmp_capabilities" },
      {
        execute: "human-monitor-command",
        arguments: { "command-line": command },
        id: command,
      },
    ];
    await monitor.write(utf8(requests.map((each) => `${JSON.stringify(each)}\n`).join("")));
    return { answer: hear(monitor, command) };
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

/** Reads what the monitor says, events too, until it has answered the command of that id. */
async function hear(monitor: Deno.Conn, id: string): Promise<string> {
  using from = monitor;
  const text = new TextDecoder();
  const bytes = new Uint8Array(4096);
  for (let heard = "";;) {
    const count = await from.read(bytes);
    assert.ok(count !== null, `the machine's monitor ended: ${heard}`);
    heard += text.decode(bytes.subarray(0, count), { stream: true });
    const lines = heard.split("\n");
    heard = lines.pop()!;
    const answer = lines.map((line) => JSON.parse(line)).find((said) => said.id === id);
    if (answer === undefined) continue;
    assert.ok(answer.error === undefined, `${id}: ${answer.error?.desc}`);
    return answer.return;
  }
}
