import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import type { Lab } from "../e2e/lab.ts";
import { TextLineStream } from "../e2e/lines.ts";
import type { Program } from "../e2e/program.ts";
import { findTool } from "../needs.ts";
import { findKernel } from "../runner/kernel.ts";
import { type ArchiveEntry, makeArchive } from "./cpio.ts";
import { emulator } from "./emulator.ts";
import { busybox, moduleFiles, modulesOf, program, withLibraries } from "./guest_files.ts";

/** For its start and for each command: it is emulated, on a machine that may be busy. */
const PATIENCE_MS = 600_000;
const MEMORY_MIB = 256;
/** How a command's end shows among the lines that it printed. */
const ENDED = /^ended (\d+)$/;

export interface ShellGuestOptions {
  readonly lab: Lab;
  /** The machine of the lab that it runs on; its own address 10.0.2.2 is that one's loopback. */
  readonly machine: string;
  readonly modules: readonly string[];
  /** Names of programs of this machine that it has, beside busybox. */
  readonly programs: readonly string[];
  readonly files: readonly ArchiveEntry[];
}

/** A machine with Debian's kernel and a shell, which runs what a test tells it to. */
export class ShellGuest {
  /** What commands have printed so far. */
  readonly lines: string[] = [];
  readonly #qemu: Program;
  readonly #path: string;
  #shell: Deno.Conn | null = null;
  #reading: Promise<void> = Promise.resolve();
  #hasEnded = false;

  private constructor(qemu: Program, path: string) {
    this.#qemu = qemu;
    this.#path = path;
    void qemu.ended.then(() => this.#hasEnded = true);
  }

  static async boot(options: ShellGuestOptions): Promise<ShellGuest> {
    const { lab, machine } = options;
    const kernel = findKernel();
    assert.ok(kernel !== null, "a kernel was found");
    const root = `${lab.directory}/shell-root.cpio`;
    const modules = moduleFiles(kernel, ["virtio_pci", "virtio_net", ...options.modules]);
    const programs = options.programs.map((name) => [name, findTool(name)!]);
    const image = makeArchive([
      program("init", utf8(initScript([...modules.keys()]))),
      busybox(),
      ...await withLibraries(Object.fromEntries(programs)),
      ...modulesOf(modules),
      ...options.files,
    ]);
    Deno.writeFileSync(root, image);
    const path = `${lab.directory}/shell.sock`;
    const qemu = await lab.spawn(machine, [
      ...emulator({ kernel, root, memoryMib: MEMORY_MIB }),
      ...["-serial", `unix:${path},server=on,wait=off`],
    ]);
    const guest = new ShellGuest(qemu, path);
    await guest.#start();
    return guest;
  }

  /** Runs a line of shell; what it printed on stdout and stderr, when it succeeds. */
  async run(command: string): Promise<string> {
    const shell = this.#shell;
    assert.ok(shell !== null, "the shell runs");
    const from = this.lines.length;
    await shell.write(utf8(`${command}\n`));
    const end = await this.#until(command, () => {
      const found = this.lines.slice(from).findIndex((line) => ENDED.test(line));
      return found < 0 ? null : from + found;
    });
    const text = this.lines.slice(from, end).filter((line) => line !== "").join("\n");
    const status = ENDED.exec(this.lines[end]!)![1];
    assert.equal(status, "0", `${command}\n${text}`);
    return text;
  }

  /** Its console and the last of what commands printed, for messages. */
  get words(): string {
    const { lines, log } = this.#qemu;
    return [...log, ...lines.slice(-30), "---", ...this.lines.slice(-30)].join("\n");
  }

  /** Resolves when `isSo`; fails with the guest's last words when that takes too long. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    await this.#until(what, () => isSo() || null);
  }

  async close(): Promise<void> {
    this.#shell?.close();
    await this.#reading;
    await this.#qemu.kill();
  }

  async #start(): Promise<void> {
    await this.#until("the shell", () => {
      return this.#qemu.lines.some((line) => line.includes("the shell is ready")) || null;
    });
    this.#shell = await Deno.connect({ transport: "unix", path: this.#path });
    this.#reading = this.#read(this.#shell);
  }

  async #read(shell: Deno.Conn): Promise<void> {
    const text = shell.readable.pipeThrough(new TextDecoderStream());
    try {
      for await (const line of text.pipeThrough(new TextLineStream())) this.lines.push(line);
    } catch (error) {
      // Closed from this side.
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) {
        throw error;
      }
    }
  }

  async #until<T>(what: string, ask: () => T | null): Promise<T> {
    const endMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = ask();
      if (answer !== null) return answer;
      assert.ok(!this.#hasEnded, `the machine ended before ${what}\n${this.words}`);
      assert.ok(performance.now() < endMs, `waited in vain for ${what}\n${this.words}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The shell's lines come and go over the second serial port, raw; the first is the console. */
function initScript(modules: readonly string[]): string {
  return `#!/bin/busybox sh
export PATH=/bin HOME=/
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev /tmp /mnt /etc
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -s /proc/mounts /etc/mtab
for module in ${modules.join(" ")}; do insmod /modules/$module.ko; done
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
stty -F /dev/ttyS1 raw -echo
exec 3</dev/ttyS1 4>/dev/ttyS1
echo the shell is ready
while read -r line <&3; do
  /bin/busybox sh -c "$line" </dev/null >&4 2>&1 3<&- 4<&-
  printf '\\nended %d\\n' $? >&4
done
`;
}
