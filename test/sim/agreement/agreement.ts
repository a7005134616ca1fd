import type { Assignment } from "../../../protocol/config/bodies.ts";
import { NBD_PORT } from "../../../protocol/core/limits.ts";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type {
  CatalogView,
  DifferenceView,
  DiskView,
  HostView,
  PoolView,
  TaskRecord,
  UnitView,
  VolumeView,
} from "../../../web/station_api.ts";
import { assignmentsOf } from "../machines/book.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { labelsOf } from "./labels.ts";

/** All that the station tells about the pool. */
export interface PoolPicture {
  readonly pool: PoolView;
  readonly units: readonly UnitView[];
  readonly hosts: readonly HostView[];
  readonly volumes: readonly VolumeView[];
  readonly disks: readonly DiskView[];
  readonly tasks: readonly TaskRecord[];
  /** As `dvsan ctl differences` shows them. */
  readonly differing: readonly DifferenceView[];
}

/** One leg, as somebody sees it; the same text where all agree. */
type Legs = Map<string, string>;

export async function pictureOf(scene: Scene): Promise<PoolPicture> {
  const get = <T>(path: string) => askStation<T>(scene.station, { method: "GET", path });
  return {
    pool: await get("/pool"),
    units: await get("/units"),
    hosts: await get("/hosts"),
    volumes: await get("/volumes"),
    disks: await get("/disks"),
    tasks: await get("/tasks?limit=1000"),
    differing: await get("/differences"),
  };
}

export interface Differences {
  /** What keeps station, units and hosts from agreeing, in words; nothing when they do. */
  readonly differences: string[];
  /** Null where the station was not asked, or did not answer. */
  readonly picture: PoolPicture | null;
  /** What is wrong in the catalog's file; it is looked at where nothing else differs. */
  readonly findings: readonly string[];
}

export async function differencesOf(scene: Scene): Promise<Differences> {
  const nobody = { picture: null, findings: [] };
  const away = scene.roles.filter((role) => !role.isReady && !scene.revoked.has(role));
  if (away.length > 0) {
    return { ...nobody, differences: away.map(({ name }) => `${name} is not ready`) };
  }
  try {
    const picture = await pictureOf(scene);
    requireStillRevoked(scene, picture);
    const differences = seenByStation(scene, picture);
    if (differences.length === 0) differences.push(...seenFromOutside(scene, picture));
    const findings = differences.length === 0 ? await seenInCatalog(scene) : [];
    differences.push(...findings.map((finding) => `the catalog: ${finding}`));
    return { differences, picture, findings };
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    return { ...nobody, differences: [`the station does not answer: ${messageOf(error)}`] };
  }
}

/** As `dvsan ctl check` finds it: what is in the file, and what the station has in memory. */
async function seenInCatalog({ station }: Scene): Promise<readonly string[]> {
  const { findings } = await askStation<CatalogView>(station, { method: "GET", path: "/catalog" });
  return findings;
}

function seenByStation(scene: Scene, picture: PoolPicture): string[] {
  const { pool, units, hosts, volumes, disks, tasks, differing } = picture;
  const isRevoked = (host: string) => [...scene.revoked].some(({ name }) => name === host);
  const found: string[] = [];
  if (pool.state !== "normal") found.push(`the station's state is ${pool.state}`);
  for (const { name, state, reason } of [...units, ...hosts]) {
    const wanted = isRevoked(name) ? "revoked" : "online";
    if (state !== wanted) found.push(`${name} is ${state}: ${reason}`);
  }
  for (const { media, name } of units) {
    for (const { path, state, reason } of media) {
      if (state !== "ok") found.push(`${name}'s medium ${path} is ${state}: ${reason}`);
    }
  }
  for (const { title, state, step } of tasks) {
    if (state === "queued" || state === "running") found.push(`task "${title}": ${state}, ${step}`);
  }
  for (const { id, unit, difference } of volumes) {
    if (difference !== null) found.push(`volume ${id} on ${unit}: ${difference}`);
  }
  for (const { subject, wanted, held, waits } of differing) {
    found.push(`${subject}: wanted ${wanted}, held ${held}, waits: ${waits}`);
  }
  for (const { id, name, host, state, reason } of disks) {
    if (mayNotReturn(scene, id)) found.push(`disk ${host}/${name} was released, and is back`);
    if (scene.wiped.has(id)) found.push(`disk ${host}/${name} was wiped, and is still there`);
    if (state === "ready" || isRevoked(host)) continue;
    found.push(`disk ${host}/${name} is ${state}: ${reason}`);
  }
  return found;
}

/** Who was revoked stays so, and not only because an operator does it again. */
function requireStillRevoked({ sim, world, shownRevoked }: Scene, { hosts }: PoolPicture): void {
  for (const { name, state } of hosts) {
    if (state === "revoked") shownRevoked.add(name);
    else if (shownRevoked.has(name) && !world.hasOtherCatalogs) {
      sim.violated("agreement", `${name} was revoked, and is ${state}`);
    }
  }
}

/** A disk stays released once that was said, but for a catalog that forgot so. */
function mayNotReturn({ users, world }: Scene, diskId: string): boolean {
  if (world.hasOtherCatalogs) return false;
  return users.disks.some(({ isGone, workload }) => isGone && workload.diskId === diskId);
}

/** Labels and hosts' books are read as they lie on their disks. */
function seenFromOutside(scene: Scene, { disks }: PoolPicture): string[] {
  const revoked = new Set([...scene.revoked].map(({ name }) => name));
  const wanted = stationLegs(disks.filter(({ host }) => !revoked.has(host)));
  return [
    ...compare("the catalog", wanted, "the labels", labelLegs(scene, { revoked, disks })),
    ...compare("the catalog", wanted, "the hosts", hostLegs(scene)),
    ...olderMaps(scene, disks),
    ...otherPlaces(scene),
  ];
}

/** A host looks for a unit where it was, or where it never was. */
function otherPlaces(scene: Scene): string[] {
  const places = new Map(
    scene.units.map(({ role }) => [role.name, `${role.machine.address}:${NBD_PORT}`]),
  );
  return booksOf(scene).flatMap(({ host, book }) =>
    book.flatMap(({ name, legs }) => legs.map((leg) => ({ name, ...leg }))).filter((leg) =>
      !leg.addresses.includes(places.get(leg.unitName) ?? "")
    ).map(({ name, unitName, addresses }) =>
      `disk ${host}/${name}: its host looks for ${unitName} at ${addresses.join()}, and it is at ` +
      `${places.get(unitName)}`
    )
  );
}

/** A host with another version than the catalog takes what it is told next for old, or not. */
function olderMaps(scene: Scene, disks: readonly DiskView[]): string[] {
  const versions = new Map(disks.map(({ id, version }) => [id, version]));
  return booksOf(scene).flatMap(({ host, book }) =>
    book.filter(({ diskId, version }) => versions.get(diskId) !== version).map((held) =>
      `disk ${host}/${held.name} has map version ${versions.get(held.diskId)} in the catalog, ` +
      `${held.version} with its host`
    )
  );
}

function stationLegs(disks: readonly DiskView[]): Legs {
  const legs: Legs = new Map();
  for (const { name, host, id, legs: own } of disks) {
    for (const { volumeId, unit, leg, sizeBytes, generation } of own) {
      legs.set(
        volumeId,
        `${host}/${name} ${id} leg ${leg} on ${unit}, ${sizeBytes}, ${generation}`,
      );
    }
  }
  return legs;
}

/** A volume that is a disk of its own keeps the name of the disk that it was made for. */
function labelLegs(
  scene: Scene,
  { revoked, disks }: {
    readonly revoked: ReadonlySet<string>;
    readonly disks: readonly DiskView[];
  },
): Legs {
  const legs: Legs = new Map();
  const own = new Map(disks.map(({ id, name }) => [id, { diskId: id, diskName: name }]));
  for (const { unit, label } of labelsOf(scene)) {
    for (const { id, leg, sizeBytes, grant } of label.volumes) {
      if (revoked.has(leg.ownerName)) continue;
      const { ownerName } = leg;
      const { diskName, diskId } = own.get(id) ?? leg;
      const generation = grant?.state === "active"
        ? `${grant.generation.epoch}.${grant.generation.counter}`
        : `granted to nobody`;
      const words = `${ownerName}/${diskName} ${diskId} leg ${leg.leg} on ${unit}, ` +
        `${sizeBytes}, ${generation}`;
      const other = legs.get(id);
      legs.set(id, other === undefined || other === words ? words : `${other}, but also ${words}`);
    }
  }
  return legs;
}

/** What hosts that are not revoked have in their books. */
export function booksOf(scene: Scene): { readonly host: string; readonly book: Assignment[] }[] {
  return scene.hosts.filter(({ role }) => !scene.revoked.has(role)).map(({ role }) => {
    return { host: role.name, book: assignmentsOf(role.machine) };
  });
}

function hostLegs(scene: Scene): Legs {
  const legs: Legs = new Map();
  for (const { host, book } of booksOf(scene)) {
    for (const { diskId, name, legs: own } of book) {
      for (const { volumeId, unitName, leg, sizeBytes, generation } of own) {
        legs.set(
          volumeId,
          `${host}/${name} ${diskId} leg ${leg} on ${unitName}, ${sizeBytes}, ` +
            `${generation.epoch}.${generation.counter}`,
        );
      }
    }
  }
  return legs;
}

function compare(oneName: string, one: Legs, otherName: string, other: Legs): string[] {
  const found: string[] = [];
  for (const id of new Set([...one.keys(), ...other.keys()])) {
    const [here, there] = [one.get(id) ?? "nothing", other.get(id) ?? "nothing"];
    if (here === there) continue;
    found.push(`volume ${id}: ${oneName} has ${here}; ${otherName} have ${there}`);
  }
  return found;
}
