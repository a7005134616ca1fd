import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { Member } from "./member.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/**
 * A network of our own: each machine is a network namespace with one address on a common bridge,
 * which is in a namespace too, so nothing of it touches this machine's network. Dispose of it with
 * `await using`: it ends every process it started and removes everything it made.
 */
export class Lab implements AsyncDisposable {
  readonly directory = Deno.makeTempDirSync({ prefix: "dvsan-lab-" });
  readonly #prefix: string;
  readonly #machines = new Map<string, Machine>();
  readonly #members: Member[] = [];

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  static async create(): Promise<Lab> {
    const unique = `${Deno.pid.toString(36)}${(counter++).toString(36)}`;
    const lab = new Lab(`dv${unique}`);
    await lab.#ip("netns", "add", lab.#switch);
    await lab.#ip("-n", lab.#switch, "link", "add", "br0", "type", "bridge");
    await lab.#ip("-n", lab.#switch, "link", "set", "br0", "up");
    return lab;
  }

  /** Makes a machine with the next free address, or finds it. */
  async machine(name: string): Promise<Machine> {
    const known = this.#machines.get(name);
    if (known !== undefined) return known;
    const number = this.#machines.size + 1;
    const machine: Machine = {
      name,
      namespace: `${this.#prefix}-${name}`,
      address: `10.77.0.${number}`,
      port: `p${number}`,
    };
    this.#machines.set(name, machine);
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
    this.#machines.set(name, { ...machine, address });
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
    const member = new Member({ machine, flags, main: MAIN });
    this.#members.push(member);
    return member;
  }

  /** Runs a program on the machine to its end. */
  async run(machineName: string, command: string, flags: readonly string[]): Promise<Outcome> {
    const machine = await this.machine(machineName);
    const child = new Deno.Command("ip", {
      args: ["netns", "exec", machine.namespace, command, ...flags],
      stdin: "null",
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
    await Promise.all(this.#members.map((member) => member.kill()));
    for (const machine of this.#machines.values()) {
      await this.#ip("netns", "del", machine.namespace);
    }
    await this.#ip("netns", "del", this.#switch);
    await waitFor("the lab's directory to go", async () => {
      await Deno.remove(this.directory, { recursive: true });
      return true;
    });
  }

  get #switch(): string {
    return `${this.#prefix}-sw`;
  }

  async #ip(...flags: string[]): Promise<void> {
    const { code, stderr } = await new Deno.Command("ip", { args: flags }).output();
    assert.equal(code, 0, `ip ${flags.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  }
}

let counter = 0;

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
