import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import type { Program } from "../e2e/program.ts";
import { waitFor } from "../wait.ts";
import { makeFile, startDvsan } from "./exports.ts";
import { tryTool } from "./tools.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const LOCAL = "127.0.0.1:0";

/** A station, two units and a host as processes on loopback; needs no root. */
export class Loopback implements AsyncDisposable {
  readonly #directory = Deno.makeTempDirSync({ prefix: "dvsan-loopback-" });
  readonly #programs: Program[] = [];

  /** Each unit has one file of `mediumMib`. */
  static async create(mediumMib: number): Promise<Loopback> {
    const cluster = new Loopback();
    try {
      await cluster.#start(mediumMib);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  async #start(mediumMib: number): Promise<void> {
    const station = `${this.#directory}/station`;
    const control = await this.#run([
      ...["station", "--state", station, "--control", LOCAL, "--web", LOCAL],
    ]);
    const node = (role: "unit" | "host", name: string) => [
      ...[role, "--state", `${this.#directory}/${name}`, "--station", control],
      ...["--control", LOCAL, "--key", `${station}/${role}.key`, "--name", name],
    ];
    const unit = (name: string) => {
      const path = makeFile(`${this.#directory}/${name}.img`, mediumMib * MIB);
      return this.#run([...node("unit", name), "--device", path, "--nbd", LOCAL]);
    };
    await Promise.all([unit("u1"), unit("u2"), this.#run(node("host", "h1"))]);
  }

  /** A disk's URI, from the last line of `dvsan disk create`, asked for until there is room. */
  async createDisk(name: string, size: string): Promise<string> {
    const flags = ["disk", "create", name, "--size", size, "--state", `${this.#directory}/h1`];
    return await waitFor(`disk ${name}`, async () => {
      const result = await tryTool(Deno.execPath(), "run", "-A", "--quiet", MAIN, ...flags);
      assert.equal(result.code, 0, result.text);
      return result.stdout.trimEnd().split("\n").at(-1);
    });
  }

  /** How many units hold a part of the disk. */
  async legs(name: string): Promise<number> {
    const flags = ["disk", "show", name, "--json", "--state", `${this.#directory}/h1`];
    const result = await tryTool(Deno.execPath(), "run", "-A", "--quiet", MAIN, ...flags);
    assert.equal(result.code, 0, result.text);
    return JSON.parse(result.stdout).legs.length;
  }

  async #run(flags: readonly string[]): Promise<string> {
    const { program, ready } = await startDvsan(flags);
    this.#programs.push(program);
    return ready["control"] ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The host first: it flushes to the units.
    for (const program of this.#programs.reverse()) {
      program.signal("SIGTERM");
      await program.ended;
    }
    await Deno.remove(this.#directory, { recursive: true });
  }
}
