import assert from "node:assert/strict";
import { hexOf } from "../../protocol/core/bytes.ts";
import { waitFor } from "../wait.ts";
import { Member } from "./member.ts";
import { Program } from "./program.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const PEER = new URL("./peer.ts", import.meta.url).pathname;
/** `ip netns exec` shows a namespace the files of its folder here in place of those of /etc. */
const NAMESPACE_FILES = "/etc/netns";

/**
 * A network of our own: each machine is a network namespace with one address on a common bridge,
 * which is in a namespace too, so nothing of it touches this machine's network. Dispose of it with
 * `await using`: it ends every process it started and removes everything it made.
 */
export class Lab implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "dvsan-lab-" });
  /** Every dvsan process that was started, in order. */
  readonly members: Member[] = [];
  readonly #prefix: string;
  readonly #machines = new Map<string, Promise<Machine>>();
  readonly #programs: Program[] = [];
  /** By machine; files with the boot ids that they were given. */
  readonly #bootIds = new Map<string, string>();

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  static async create(): Promise<Lab> {
    const lab = new Lab(`dvsan-${hexOf(crypto.getRandomValues(new Uint8Array(4)))}`);
    await lab.#ip("netns", "add", lab.#switch);
    await lab.#ip("-n", lab.#switch, "link", "add", "br0", "type", "bridge");
    await lab.#ip("-n", lab.#switch, "link", "set", "br0", "up");
    return lab;
  }

  /** Makes a machine with the next free address, or finds it. */
  machine(name: string): Promise<Machine> {
    let machine = this.#machines.get(name);
    if (machine === undefined) {
      machine = this.#makeMachine(name, this.#machines.size + 1);
      this.#machines.set(name, machine);
    }
    return machine;
  }

  async #makeMachine(name: string, number: number): Promise<Machine> {
    const machine: Machine = {
      name,
      namespace: `${this.#prefix}-${name}`,
      address: `10.77.0.${number}`,
      port: `p${number}`,
    };
    const { namespace, address, port } = machine;
    await this.#ip("netns", "add", namespace);
    await this.#ip(
      ...["-n", this.#switch, "link", "add", port, "type", "veth"],
      ...["peer", "name", "eth0", "netns", namespace],
    );
    await this.#ip("-n", this.#switch, "link", "set", port, "master", "br0", "up");
    await this.#ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
    await this.#ip("-n", namespace, "link", "set", "eth0", "up");
    await this.#ip("-n", namespace, "link", "set", "lo", "up");
    return machine;
  }

  /** Pulls the machine's cable; packets under way are lost. */
  async cut(name: string): Promise<void> {
    const machine = await this.machine(name);
    await this.#ip("-n", this.#switch, "link", "set", machine.port, "down");
  }

  async heal(name: string): Promise<void> {
    const machine = await this.machine(name);
    await this.#ip("-n", this.#switch, "link", "set", machine.port, "up");
  }

  /** Gives the machine another address in place of its own. */
  async renumber(name: string, lastByte: number): Promise<void> {
    const machine = await this.machine(name);
    const address = `10.77.0.${lastByte}`;
    const { namespace } = machine;
    await this.#ip("-n", namespace, "addr", "del", `${machine.address}/24`, "dev", "eth0");
    await this.#ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
    this.#machines.set(name, Promise.resolve({ ...machine, address }));
  }

  /** To dvsan processes that are started there from now on, the machine was switched on anew. */
  bootAnew(name: string): void {
    const id = crypto.randomUUID();
    const path = `${this.directory}/boot-${id}`;
    Deno.writeTextFileSync(path, `${id}\n`);
    this.#bootIds.set(name, path);
  }

  /** The machine takes `owner` for the one that has owner's address, whoever else has it too. */
  async takeForNeighbour(name: string, owner: string): Promise<void> {
    const { namespace } = await this.machine(name);
    const { address } = await this.machine(owner);
    const { stdout } = await this.run(owner, "cat", ["/sys/class/net/eth0/address"]);
    const entry = [address, "lladdr", stdout.trim(), "dev", "eth0", "nud", "reachable"];
    await this.#ip("-n", namespace, "neigh", "replace", ...entry);
  }

  /** The names that the machine knows from now on: before its first process, changed at will. */
  async nameHosts(machineName: string, names: Readonly<Record<string, string>>): Promise<void> {
    const { namespace } = await this.machine(machineName);
    Deno.mkdirSync(`${NAMESPACE_FILES}/${namespace}`, { recursive: true });
    const lines = Object.entries(names).map(([name, address]) => `${address} ${name}\n`);
    // The same file is written over: processes that run have it mounted.
    Deno.writeTextFileSync(`${NAMESPACE_FILES}/${namespace}/hosts`, lines.join(""));
  }

  /** Starts `dvsan FLAGS` on the machine and waits for its ready line. */
  async start(machineName: string, flags: readonly string[]): Promise<Member> {
    const member = await this.launch(machineName, flags);
    await member.untilReady();
    return member;
  }

  /** Starts `dvsan FLAGS` without waiting. */
  async launch(machineName: string, flags: readonly string[]): Promise<Member> {
    const machine = await this.machine(machineName);
    const bootIdPath = this.#bootIds.get(machineName) ?? null;
    const member = new Member({ machine, flags, main: MAIN, bootIdPath });
    this.members.push(member);
    return member;
  }

  /** Starts any program on the machine; it is killed with the lab. */
  async spawn(machineName: string, command: readonly string[]): Promise<Program> {
    const machine = await this.machine(machineName);
    const program = new Program(["ip", "netns", "exec", machine.namespace, ...command]);
    this.#programs.push(program);
    return program;
  }

  /** Starts a part of peer.ts on the machine and waits for its first line. */
  async peer(machineName: string, ...flags: string[]): Promise<Program> {
    const command = [Deno.execPath(), "run", "-A", "--quiet", PEER, ...flags];
    const program = await this.spawn(machineName, command);
    await waitFor(`${flags[0]} to begin`, () => program.lines.length > 0);
    return program;
  }

  /** Runs a program on the machine to its end. */
  async run(machineName: string, command: string, flags: readonly string[]): Promise<Outcome> {
    const machine = await this.machine(machineName);
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", machine.namespace, command, ...flags],
      stdin: "null",
      env: { NO_COLOR: "1" },
    });
    const { code, stdout, stderr } = await child.output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  /** Runs `dvsan FLAGS` on the machine to its end. */
  dvsan(machineName: string, ...flags: string[]): Promise<Outcome> {
    return this.run(machineName, Deno.execPath(), ["run", "-A", "--quiet", MAIN, ...flags]);
  }

  /** As `dvsan`, which must succeed; what it printed. */
  async must(machineName: string, ...flags: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.dvsan(machineName, ...flags);
    assert.equal(code, 0, `dvsan ${flags.join(" ")} on ${machineName}: ${stderr}`);
    return stdout;
  }

  /** A sparse file for a medium or any other use. */
  file(name: string, sizeBytes: number): string {
    const path = `${this.directory}/${name}`;
    using file = Deno.openSync(path, { write: true, createNew: true });
    file.truncateSync(sizeBytes);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([
      ...this.members.map((member) => member.kill()),
      ...this.#programs.map((program) => program.kill()),
    ]);
    for (const making of this.#machines.values()) {
      const { namespace } = await making;
      await this.#ip("netns", "del", namespace);
      await removeAll(`${NAMESPACE_FILES}/${namespace}`);
    }
    await this.#ip("netns", "del", this.#switch);
    await removeAll(this.directory);
  }

  get #switch(): string {
    return `${this.#prefix}-sw`;
  }

  async #ip(...flags: string[]): Promise<void> {
    const { code, stderr } = await new Deno.Command("ip", { args: flags }).output();
    assert.equal(code, 0, `ip ${flags.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
}

async function removeAll(path: string): Promise<void> {
  await Deno.remove(path, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

export interface Machine {
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  /** Its port on the switch. */
  readonly port: string;
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
