import { z } from "zod";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MIB } from "../../protocol/core/limits.ts";
import type { ChildProcess, ProcessContext } from "../process/context.ts";

/** Any role's ready line, as far as the demo needs it. */
const ReadyLine = z.looseObject({
  id: z.string().default(""),
  control: z.string().default(""),
  nbd: z.string().default(""),
  web: z.string().default(""),
});
export type Ready = z.infer<typeof ReadyLine>;

/** A role that runs as a process of its own. */
export interface Member {
  readonly name: string;
  readonly state: string;
  readonly child: ChildProcess;
  readonly ready: Ready;
  readonly arguments: readonly string[];
}

const LOOPBACK = "127.0.0.1";

/** The processes of the demo, with their files in one temporary directory. */
export class DemoCluster {
  readonly directory: string;
  readonly #process: ProcessContext;
  readonly #expectedToEnd = new Set<ChildProcess>();
  readonly #lastWords = new Map<string, string>();
  #stationControl = "";

  constructor(process: ProcessContext) {
    this.#process = process;
    this.directory = process.makeTemporaryDirectory();
  }

  async startStation(ports: { control: string; web: string }): Promise<Member> {
    const station = await this.#start("station", [
      "station",
      "--state",
      `${this.directory}/station`,
      "--control",
      ports.control,
      "--web",
      ports.web,
    ]);
    this.#stationControl = station.ready.control;
    return station;
  }

  startUnit(name: string, mediaMib: readonly number[], spare = false): Promise<Member> {
    const devices = mediaMib.flatMap((sizeMib, index) => {
      const path = `${this.directory}/${name}-medium${index + 1}.img`;
      this.#process.makeSparseFile(path, sizeMib * MIB);
      return ["--device", path];
    });
    const flags = spare ? [...devices, "--spare"] : devices;
    return this.#start(name, [
      "unit",
      ...this.#nodeFlags(name, "unit.key"),
      "--nbd",
      `${LOOPBACK}:0`,
      ...flags,
    ]);
  }

  startHost(name: string): Promise<Member> {
    return this.#start(name, ["host", ...this.#nodeFlags(name, "host.key")]);
  }

  /** Ends it at once, as a power cut of the process. */
  async kill(member: Member): Promise<void> {
    this.#expectedToEnd.add(member.child);
    member.child.kill("SIGKILL");
    await member.child.status;
  }

  /** Starts a member that ended, with the same flags and on the ports it had. */
  async restart(member: Member): Promise<Member> {
    const port = /^127\.0\.0\.1:0$/;
    const flags = member.arguments.map((argument, index) => {
      const flag = member.arguments[index - 1];
      if (!port.test(argument)) return argument;
      if (flag === "--nbd") return member.ready.nbd;
      if (flag === "--web") return member.ready.web.replace("http://", "");
      return member.ready.control;
    });
    return await this.#start(member.name, flags);
  }

  #nodeFlags(name: string, key: string): string[] {
    return [
      "--state",
      `${this.directory}/${name}`,
      "--station",
      this.#stationControl,
      "--control",
      `${LOOPBACK}:0`,
      "--key",
      `${this.directory}/station/${key}`,
      "--name",
      name,
    ];
  }

  async #start(name: string, flags: readonly string[]): Promise<Member> {
    const ready = Promise.withResolvers<Ready>();
    const child = this.#process.spawn({
      arguments: flags,
      // A host flushes to its units, and a node says goodbye to its station.
      endTurn: ["host", "unit", "station"].indexOf(flags[0] ?? ""),
      onStdoutLine: (line) => ready.resolve(ReadyLine.parse(JSON.parse(line))),
      onStderrLine: (line) => this.#lastWords.set(name, line),
    });
    void child.status.then((status) => {
      const words = this.#lastWords.get(name) ?? "it said nothing";
      const error = new DvsanError("unavailable", `${name} ended with status ${status}: ${words}`);
      ready.reject(error);
      if (this.#expectedToEnd.has(child) || this.#process.signal.aborted) return;
      this.#process.fail(error);
    });
    const state = flags[flags.indexOf("--state") + 1] ?? "";
    return { name, state, child, ready: await ready.promise, arguments: flags };
  }
}
