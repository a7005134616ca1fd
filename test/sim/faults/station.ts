import { addStation, stateOf } from "../machines/cluster.ts";
import type { SimMachine } from "../machines/machine.ts";
import { readReal, writeReal } from "../machines/real_files.ts";
import type { SimRole } from "../machines/role.ts";
import type { Scene } from "../scenario/scene.ts";
import { lasting } from "./lasting.ts";

/** A station's state directory, as a backup holds it. */
export interface Backup {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly database: ReadonlyMap<string, Uint8Array>;
}

const BACKUPS_MAX = 4;
const MARKS = "station.marks";
/** The longest time until another node finds the other one of two stations. */
const HOP_MS_MAX = 5000;

/** The catalog is restored from an old copy, damaged, or lost; now and then a copy is made. */
export function catalog(scene: Scene): void {
  const { sim, station, backups } = scene;
  const { machine } = station;
  if (!machine.isOn) return;
  station.end("killed");
  const choice = sim.pick(["copy", "copy", "old", "older", "lost", "damaged"] as const);
  const now = backupOf(machine);
  if (choice === "copy" || backups.length === 0) {
    sim.say("the catalog is copied");
    backups.push(now);
    if (backups.length > BACKUPS_MAX) backups.shift();
  } else if (choice === "old") {
    sim.say("the catalog alone is restored from an old copy");
    restore(machine, { ...now, database: sim.pick(backups).database });
  } else if (choice === "older") {
    sim.say("the whole state directory of the station is restored from an old copy");
    restore(machine, sim.pick(backups));
  } else if (choice === "lost") {
    const files = new Map([...now.files].filter(([name]) => name !== MARKS || sim.chance(0.5)));
    sim.say(`the catalog is lost${files.has(MARKS) ? "" : ", and what was beside it"}`);
    restore(machine, { files, database: new Map() });
  } else spoilCatalog(scene, damage(scene));
}

/** The catalog's file, of a station that is not running, is what `spoil` makes of it. */
export function spoilCatalog(scene: Scene, spoil: (bytes: Uint8Array) => Uint8Array): void {
  const { machine } = scene.station;
  const now = backupOf(machine);
  const database = [...now.database].map(([name, bytes]) =>
    [name, name.endsWith(".sqlite") && bytes.length > 0 ? spoil(bytes) : bytes] as const
  );
  scene.hasSpoiltCatalog = true;
  restore(machine, { ...now, database: new Map(database) });
}

/** Nothing is left of what the station knew, but its keys. */
export function loseCatalog({ station: { machine } }: Scene): void {
  const files = [...backupOf(machine).files].filter(([name]) => name !== MARKS);
  restore(machine, { files: new Map(files), database: new Map() });
}

/**
 * The station runs twice for a while, with one key: some nodes find the one, some the other, and
 * now and then one that looks again finds the other one of both.
 */
export function clone(scene: Scene): void {
  const { sim, station, world, clone } = scene;
  if (clone !== null) return hop(scene, clone.machine.address);
  if (!station.machine.isOn) return;
  station.end("killed");
  const number = ++scene.clones;
  const twin = addStation(world, { name: `twin${number}`, address: `10.0.0.${1 + number}` });
  restore(twin.machine, backupOf(station.machine));
  scene.clone = twin;
  const nodes = [...scene.units, ...scene.hosts].map(({ role }) => role);
  const led = nodes.filter(() => sim.chance(0.5));
  for (const { machine } of led) world.leads.set(machine.name, twin.machine.address);
  twin.start();
  const hopLater = () => {
    sim.later(HOP_MS_MAX * sim.fraction(), "a node looks for its station", () => {
      if (scene.clone !== twin) return;
      hop(scene, twin.machine.address);
      hopLater();
    });
  };
  if (sim.chance(0.5)) hopLater();
  lasting(scene, {
    what: `${twin.name} is a clone of the station; ${
      led.map(({ name }) => name).join(", ") || "nobody"
    } is led to it`,
    undo: () => {
      twin.wanted = false;
      twin.end("killed");
      scene.clone = null;
      world.leads.clear();
    },
  });
}

/** A node finds the other one of two stations from now on: at once, as it is killed, or later. */
function hop({ sim, units, hosts, world: { leads } }: Scene, twin: string): void {
  const { role } = sim.pick<{ readonly role: SimRole }>([...units, ...hosts]);
  const { name } = role.machine;
  if (!leads.delete(name)) leads.set(name, twin);
  sim.say(`${role.name} is led to ${leads.has(name) ? "the clone" : "the station"}`);
  if (sim.chance(0.5)) role.end("killed");
}

export function backupOf(machine: SimMachine): Backup {
  const state = `${stateOf(machine)}/`;
  const files = [...machine.files].filter(([path]) => path.startsWith(state));
  return {
    files: new Map(files.map(([path, bytes]) => [path.slice(state.length), bytes])),
    database: readReal(machine.realDirectory(stateOf(machine))),
  };
}

/** The station, which is not running, holds this and nothing else. */
export function restore(machine: SimMachine, { files, database }: Backup): void {
  machine.world.hasOtherCatalogs = true;
  const state = stateOf(machine);
  for (const path of [...machine.files.keys()]) {
    if (path.startsWith(`${state}/`)) machine.files.delete(path);
  }
  for (const [name, bytes] of files) machine.files.set(`${state}/${name}`, bytes);
  writeReal(machine.realDirectory(state), database);
}

/** Cut short, with pages of zeroes, or with flipped bits. */
function damage({ sim }: Scene): (bytes: Uint8Array) => Uint8Array {
  const how = sim.pick(["cut short", "zeroed in part", "with flipped bits"]);
  sim.say(`the catalog is ${how}`);
  return (bytes) => {
    const copy = bytes.slice();
    const at = sim.below(copy.length);
    if (how === "cut short") return copy.slice(0, at);
    if (how === "zeroed in part") return copy.fill(0, at, at + 4096 * (1 + sim.below(4)));
    for (let i = 0; i < 20; i++) copy[sim.below(copy.length)]! ^= 1 << sim.below(8);
    return copy;
  };
}
