import assert from "node:assert/strict";
import { agree } from "../e2e/agreement.ts";
import type { Cluster } from "../e2e/cluster.ts";
import { startFio } from "../e2e/consumer.ts";
import type { Program } from "../e2e/program.ts";
import { Chance } from "../fuzz/chance.ts";
import { Lane } from "./lane.ts";
import { Operator } from "./operator.ts";

const MIB = 2 ** 20;
const LANE_BYTES = 2 * MIB;
/** So many writes of each lane must go through before the next kill. */
const WRITES_BETWEEN = 6;

/** Of the disk that fio uses; behind it is a lane's range. */
const FIO_BYTES = 16 * MIB;

const VICTIMS = ["u1", "u2", "h1", "h2", "station"] as const;
type Victim = (typeof VICTIMS)[number];

/** Once in so many rounds two or more are killed at the same time. */
const TOGETHER_ONE_IN = 4;
/** Longest time between a kill and the start of what was killed. */
const DOWN_MS_MAX = 400;

/**
 * Kills station, units and hosts' agents again and again, never asking first, while verified writes
 * go on: those of lanes that live through their agent's death, and those of fio, which checks every
 * block by checksum, over units and station that die, and is begun anew when its agent does: it
 * cannot connect again. A disk is made, grown or released under each kill. After each kill, or
 * several within the same moment, the writes must go on, and station, hosts and labels must agree.
 */
export class KillRun {
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #operator: Operator;
  readonly #lanes: Lane[] = [];
  #fio: Program | null = null;
  #fioUri = "";
  kills = 0;
  rounds = 0;
  /** Times that fio wrote and checked its whole range. */
  fioRuns = 0;
  /** Times that its agent died under it. */
  fioBreaks = 0;
  readonly killsOf: Record<Victim, number> = { u1: 0, u2: 0, h1: 0, h2: 0, station: 0 };

  constructor(cluster: Cluster, seed: number) {
    this.#cluster = cluster;
    this.#chance = new Chance(seed);
    this.#operator = new Operator(cluster, new Chance(this.#chance.below(2 ** 32)));
  }

  /** Makes the members and their disks. h1's disk spans both units. */
  async start(): Promise<void> {
    const cluster = this.#cluster;
    await Promise.all([
      ...[cluster.unit("u1", [48]), cluster.unit("u2", [48, 32])],
      ...[cluster.host("h1"), cluster.host("h2")],
    ]);
    this.#fioUri = await cluster.createDisk("h2", "fio", `${FIO_BYTES + LANE_BYTES}B`);
    const uri = await cluster.createDisk("h1", "wide", "80M");
    const [disk] = await cluster.listDisks("h1");
    const last = disk!.sizeBytes - LANE_BYTES;
    // At the start, in the middle and at the end: on both units, and over the seam of two legs.
    const seam = disk!.legs[0]!.sizeBytes - LANE_BYTES / 2;
    for (const start of [0, seam, last]) this.#addLane(uri, start);
    this.#addLane(this.#fioUri, FIO_BYTES);
    await this.#goOn();
  }

  #addLane(uri: string, start: number): void {
    const chance = new Chance(this.#chance.below(2 ** 32));
    this.#lanes.push(new Lane({ uri, start, length: LANE_BYTES, chance }));
  }

  /** One kill, or several at once; then everything works and agrees again. */
  async round(): Promise<void> {
    const victims = this.#victims();
    this.rounds++;
    await this.#untilFioRuns();
    const order = this.#operator.order();
    await Promise.all(victims.map(async (name) => {
      await pause(this.#chance.below(50));
      await this.#cluster.member(name).kill();
      this.kills++;
      this.killsOf[name]++;
      if (name === "h2") await this.#loseFio();
      await pause(this.#chance.below(DOWN_MS_MAX));
      await this.#cluster.restart(name);
    }));
    await order;
    await this.#goOn();
    await this.#operator.settled();
    await agree(this.#cluster);
  }

  /** Ends the writers, with a last look at all that was written. */
  async finish(): Promise<void> {
    for (const lane of this.#lanes) await lane.stop();
    await this.#endFio();
    await agree(this.#cluster);
  }

  /** What was done, in words. */
  summary(): string {
    const kills = VICTIMS.map((name) => `${name} ${this.killsOf[name]}`).join(", ");
    const writes = this.#lanes.reduce((sum, lane) => sum + lane.writes, 0);
    const breaks = this.#lanes.reduce((sum, lane) => sum + lane.breaks, 0);
    return `${this.kills} kills in ${this.rounds} rounds (${kills}); ${writes} writes checked over ` +
      `${breaks} broken connections, ${this.fioRuns} runs of fio to their end and ` +
      `${this.fioBreaks} broken off; ${this.#operator.taken} orders taken and ${this.#operator.untaken} not`;
  }

  #victims(): Victim[] {
    const count = this.#chance.oneIn(TOGETHER_ONE_IN) ? this.#chance.between(2, 4) : 1;
    const left: Victim[] = [...VICTIMS];
    return Array.from({ length: count }, () => {
      return left.splice(this.#chance.below(left.length), 1)[0]!;
    });
  }

  async #goOn(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.further(WRITES_BETWEEN)));
  }

  /** A kill without fio at work would show nothing of it. */
  async #untilFioRuns(): Promise<void> {
    if (this.#fio !== null && !await hasEnded(this.#fio)) return;
    await this.#endFio();
    this.#fio = await startFio(this.#cluster.lab, {
      machine: "h2",
      uri: this.#fioUri,
      offsetMib: 0,
      sizeMib: FIO_BYTES / MIB,
    });
  }

  /** Its agent is dead, and it cannot connect again; nothing that it has read was wrong. */
  async #loseFio(): Promise<void> {
    const fio = this.#fio;
    if (fio === null) return;
    this.#fio = null;
    await fio.kill();
    assert.doesNotMatch([...fio.lines, ...fio.log].join("\n"), /verify failed|bad magic/i);
    this.fioBreaks++;
  }

  async #endFio(): Promise<void> {
    const fio = this.#fio;
    if (fio === null) return;
    assert.equal(await fio.ended, 0, [...fio.lines, ...fio.log].join("\n"));
    this.fioRuns++;
    this.#fio = null;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function hasEnded(program: Program): Promise<boolean> {
  return await Promise.race([program.ended.then(() => true), pause(0).then(() => false)]);
}
