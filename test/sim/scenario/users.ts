import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import { Workload, type WorkloadOptions } from "../consumers/workload.ts";
import type { SimRole } from "../machines/role.ts";
import { askAgent, askStation } from "../operators/api.ts";
import { agentOf, byToken, consumerOf, type DirectUse } from "./consumer_roles.ts";
import type { Scene } from "./scene.ts";

const DISKS_MAX = 4;

/** A disk that somebody asked for, whether or not it came to be. */
export interface UsedDisk {
  /** "host1/d3": never used again for another. */
  readonly key: string;
  readonly name: string;
  readonly host: SimRole;
  readonly consumer: SimRole;
  readonly workload: Workload;
  state: "asked" | "made" | "released";
  /** Whoever released it was told that it is done. */
  isGone: boolean;
  /** A consumer that was handed the disk without the agent, and goes on when it was taken back. */
  direct: DirectUse | null;
}

/** How long people wait before they ask for the same again. */
const AGAIN_MS = 20_000;

/** The people who ask for disks, grow them and give them back, and whatever uses the disks. */
export class Users {
  readonly disks: UsedDisk[] = [];
  readonly #scene: Scene;
  #number = 0;
  #requests = 0;
  #others = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  get present(): UsedDisk[] {
    return this.disks.filter(({ state }) => state !== "released");
  }

  /** Somebody does something, by chance. */
  act(): void {
    const { sim } = this.#scene;
    const made = this.disks.filter(({ state }) => state === "made");
    const choice = sim.below(10);
    if (made.length === 0 || (choice < 4 && this.present.length < DISKS_MAX)) this.request();
    else if (choice < 8) this.grow(sim.pick(made));
    else this.release(sim.pick(made));
  }

  /** Null: there are enough. Without a size, of any. */
  request(wanted: { readonly sizeBytes?: number } = {}): UsedDisk | null {
    const { sim, hosts } = this.#scene;
    if (this.present.length >= DISKS_MAX) return null;
    const { role: host } = sim.pick(hosts);
    const name = `d${++this.#number}`;
    const sizeBytes = wanted.sizeBytes ?? (1 + sim.below(12)) * MIB;
    const disk = this.#use(host, name);
    const made = () => {
      if (disk.state === "asked") disk.state = "made";
    };
    // A disk that was refused, or that nobody knows of, has a consumer that never finds it.
    if (sim.chance(0.7)) {
      this.#do(
        `a user of ${host.name} asks for ${name}, ${sizeBytes} bytes`,
        made,
        () => askAgent(host, "create", { name, sizeBytes }),
      );
    } else {
      this.#do(
        `an operator makes ${name} for ${host.name}, ${sizeBytes} bytes`,
        made,
        () =>
          askStation(this.#scene.station, {
            method: "POST",
            path: "/disks",
            body: { host: host.name, name, sizeBytes },
          }),
      );
    }
    sim.after(100, `a consumer wants ${disk.key}`, () => disk.consumer.start());
    return disk;
  }

  /** Without a size, to any. */
  grow(disk: UsedDisk, wanted: { readonly sizeBytes?: number } = {}): void {
    const { sim } = this.#scene;
    const sizeBytes = wanted.sizeBytes ?? (2 + sim.below(24)) * MIB;
    this.#do(
      `a user grows ${disk.key} to ${sizeBytes} bytes`,
      () => {},
      () => askAgent(disk.host, "grow", { name: disk.name, sizeBytes }),
    );
  }

  release(disk: UsedDisk): void {
    const { sim, station } = this.#scene;
    this.forget(disk);
    if (sim.chance(0.5)) {
      disk.consumer.wanted = false;
      disk.consumer.stop();
      sim.after(
        200,
        `the user of ${disk.key} has ended its consumers`,
        () =>
          this.#do(
            `a user releases ${disk.key}`,
            () => disk.isGone = true,
            () => askAgent(disk.host, "release", { name: disk.name }),
          ),
      );
    } else {
      // Its consumer goes on, and must be kept out.
      this.#do(
        `an operator releases ${disk.key}`,
        () => disk.isGone = true,
        () =>
          askStation(station, {
            method: "DELETE",
            path: `/disks/${disk.host.name}%2F${disk.name}`,
          }),
      );
    }
  }

  /** Its consumer ends, and another one is to use its unit without the agent. */
  handOut(disk: UsedDisk): void {
    const { sim } = this.#scene;
    disk.consumer.wanted = false;
    disk.consumer.stop();
    sim.after(200, `the consumers of ${disk.key} have ended`, () => {
      if (disk.state !== "made" || disk.consumer.wanted) return;
      const what = `a user of ${disk.host.name} asks for ${disk.name} without the agent`;
      const ask = () => askAgent<{ uris: string[] }>(disk.host, "show", directly(disk));
      this.#do(what, ({ uris }) => this.#useDirectly(disk, uris), ask);
    });
  }

  /** Somebody else comes by the token that a disk is used by: the newest connection wins. */
  comeBesideDirect({ direct, key }: UsedDisk): void {
    if (direct === null || direct.second.isRunning) return;
    this.#scene.sim.say(`somebody else uses the token of ${key}`);
    direct.second.wanted = true;
    direct.second.start();
    // Who was thrown out does not come again by itself.
    direct.second.wanted = false;
  }

  /** The agent is to have it again; whoever uses it without may not have heard of that. */
  giveBack(disk: UsedDisk): void {
    const { sim } = this.#scene;
    if (disk.state === "released") return;
    if (sim.chance(0.5)) endDirect(disk);
    disk.consumer.wanted = true;
    disk.consumer.start();
    let isDone = false;
    const what = `a user gives ${disk.key} back to the agent`;
    const done = () => {
      isDone = true;
    };
    this.#do(what, done, () => askAgent(disk.host, "attach", { name: disk.name }));
    sim.after(AGAIN_MS, `the user of ${disk.key} looks whether the agent has it`, () => {
      if (!isDone && disk.consumer.wanted) this.giveBack(disk);
    });
  }

  /** Nobody uses a disk without its agent any more. */
  endDirect(): void {
    for (const disk of this.disks) endDirect(disk);
  }

  /** What it holds is nobody's concern any more. */
  forget(disk: UsedDisk): void {
    disk.state = "released";
    disk.workload.isReleased = true;
    this.#scene.sim.tell((checker) => checker.diskReleased?.(disk.workload.diskId));
  }

  /** Another consumer of a disk, beside its own, that asks for something else. */
  beside({ host, name, key }: UsedDisk, workload: Workload): SimRole {
    const role = `${key} beside ${++this.#others}`;
    return consumerOf({ role, host, name, way: agentOf(host, name), workload });
  }

  /** As the plan has them, but for what is given. */
  workload(other: Partial<WorkloadOptions> = {}): Workload {
    const { sim, plan } = this.#scene;
    const { depth, burstMax, pauseMsMax, longShare, flushesSeldom } = plan;
    const nextId = () => ++this.#requests;
    const planned = { depth, burstMax, pauseMsMax, longShare, flushesSeldom, nextId };
    return new Workload(sim, { ...planned, ...other });
  }

  pause(isPaused: boolean): void {
    for (const { workload } of this.disks) workload.isPaused = isPaused;
  }

  /** Each URI is that of a leg, and what flushes one leg has not flushed the others. */
  #useDirectly(disk: UsedDisk, uris: readonly string[]): void {
    const { host, name, key, workload } = disk;
    const [uri] = uris;
    if (uri === undefined || uris.length > 1 || disk.consumer.wanted) return;
    endDirect(disk);
    const { host: place, pathname } = new URL(uri.replace("nbd:", "http:"));
    const [address, port] = place.split(":");
    const way = {
      kind: "direct",
      at: { address: address!, port: Number(port) },
      token: pathname.slice(1),
    } as const;
    const role = `${key} without agent ${++this.#others}`;
    disk.direct = byToken({ role, host, name, way, workload });
    disk.direct.consumer.start();
  }

  #use(host: SimRole, name: string): UsedDisk {
    const key = `${host.name}/${name}`;
    const workload = this.workload();
    const way = agentOf(host, name);
    const consumer = consumerOf({ role: key, host, name, way, workload });
    const disk: UsedDisk = {
      key,
      name,
      host,
      consumer,
      workload,
      state: "asked",
      isGone: false,
      direct: null,
    };
    this.disks.push(disk);
    return disk;
  }

  /** What people do takes its time, and may never be answered. */
  #do<T>(what: string, done: (answer: T) => void, run: () => Promise<T>): void {
    const { sim } = this.#scene;
    sim.say(what);
    sim.touch();
    Promise.try(run).then(
      (answer) => {
        sim.say(`done: ${what}`);
        done(answer);
      },
      (error) => {
        if (!(error instanceof DvsanError)) throw error;
        sim.say(`not done: ${what}: ${error.code}: ${messageOf(error)}`);
      },
    );
  }
}

function directly({ name }: UsedDisk): { readonly name: string; readonly direct: boolean } {
  return { name, direct: true };
}

function endDirect(disk: UsedDisk): void {
  const { direct } = disk;
  if (direct === null) return;
  for (const consumer of [direct.consumer, direct.second]) {
    consumer.wanted = false;
    consumer.end("killed");
  }
  disk.direct = null;
}
