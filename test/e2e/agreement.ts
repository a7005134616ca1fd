import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import { readBook, type ReadCatalog, readCatalog } from "./catalog_reader.ts";
import type { Cluster } from "./cluster.ts";
import { type ReadLabel, readLabel, type ReadVolume } from "./label_reader.ts";

/** One leg of a disk, as somebody sees it. */
interface Leg {
  readonly disk: string;
  readonly diskId: string;
  readonly leg: number;
  readonly unit: string;
  readonly unitId: string;
  readonly host: string;
  readonly volumeId: string;
  readonly number: number;
  readonly sizeBytes: number;
  readonly generation: string;
}

/** Where each of the three lies. */
export interface Places {
  /** State directories: of the station, and of each host by its name. */
  readonly station: string;
  readonly host: (name: string) => string;
  /** Paths of each unit's media. */
  readonly media: ReadonlyMap<string, readonly string[]>;
}

export function placesOf(cluster: Cluster): Places {
  return {
    station: cluster.stationState,
    host: (name) => cluster.state(name),
    media: cluster.media,
  };
}

/** Waits until `mustAgree` finds nothing. All members of the cluster must run. */
export async function agree(cluster: Cluster): Promise<void> {
  await waitFor("station, hosts and labels to agree", async () => {
    await mustAgree(cluster, placesOf(cluster));
    return true;
  });
}

/**
 * Fails unless the catalog, the hosts' books and the labels on the units' media tell the same of
 * every disk, with nothing in between, and the station knows of no difference. Catalog, books and
 * labels are read as they lie on their disks, by readers that share no code with the product; what
 * station and agents say of themselves is compared with that.
 */
export async function mustAgree(cluster: Cluster, places: Places): Promise<void> {
  const volumes = await cluster.view("volumes");
  const differences = volumes.map((volume) => volume.difference).filter((text) => text !== null);
  assert.deepEqual(differences, [], "the station sees no difference");
  const catalog = readCatalog(places.station);
  const wanted = catalogLegs(catalog);
  assert.deepEqual(await stationLegs(cluster), wanted.map(saidOf), "the station says its catalog");
  const hosts = (await cluster.view("hosts")).filter((host) => host.state === "online");
  const names = hosts.map(({ name }) => name);
  assert.deepEqual(bookLegs(places, { names, catalog }), wanted, "hosts and catalog agree");
  assert.deepEqual(await hostLegs(cluster, names), wanted.map(saidOf), "hosts say their books");
  const labels = labelsOf(places);
  assert.deepEqual(labelLegs(labels), wanted, "labels and catalog agree");
  checkKeys(labels, catalog);
}

function catalogLegs({ legs }: ReadCatalog): Leg[] {
  return sorted(legs.map((one) => {
    const { disk, diskId, leg, unit, unitId, host, volumeId, number, sizeBytes } = one;
    const generation = `${one.epoch}.${one.counter}`;
    return { disk, diskId, leg, unit, unitId, host, volumeId, number, sizeBytes, generation };
  }));
}

function bookLegs(
  places: Places,
  { names, catalog }: { readonly names: readonly string[]; readonly catalog: ReadCatalog },
): Leg[] {
  return sorted(
    names.flatMap((host) =>
      readBook(places.host(host)).flatMap(({ diskId, name: disk, version, legs }) => {
        const known = catalog.legs.find((one) => one.diskId === diskId)?.mapVersion;
        // One that was rebuilt from labels is told its host once an operator has confirmed.
        if (known !== 0) assert.equal(version, known, `${host} holds the catalog's map of ${disk}`);
        return legs.map(({ leg, unitName: unit, unitId, volumeId, volumeNumber, ...place }) => {
          const { sizeBytes, startLba, endLba } = place;
          assert.equal(
            (endLba - startLba + 1) * 512,
            sizeBytes,
            `the place of leg ${leg} of ${disk}`,
          );
          const generation = `${place.generation.epoch}.${place.generation.counter}`;
          const number = volumeNumber;
          return { disk, diskId, leg, unit, unitId, host, volumeId, number, sizeBytes, generation };
        });
      })
    ),
  );
}

/** What station and agents say in their own words. */
type Said = Pick<Leg, "disk" | "leg" | "unit" | "host" | "sizeBytes" | "generation">;

function saidOf({ disk, leg, unit, host, sizeBytes, generation }: Leg): Said {
  return { disk, leg, unit, host, sizeBytes, generation };
}

async function stationLegs(cluster: Cluster): Promise<Said[]> {
  const disks = await cluster.view("disks");
  return sorted(disks.flatMap(({ name, host, state, legs }) => {
    assert.ok(state === "ready" || state === "direct", `disk ${name} is ${state}`);
    return legs.map(({ leg, unit, sizeBytes, generation }) => {
      return { disk: name, leg, unit, host, sizeBytes, generation };
    });
  }));
}

async function hostLegs(cluster: Cluster, names: readonly string[]): Promise<Said[]> {
  const lists = await Promise.all(names.map(async (host) => {
    return (await cluster.listDisks(host)).flatMap((disk) =>
      disk.legs.map(({ leg, unit, sizeBytes, generation }) => {
        return { disk: disk.name, leg, unit, host, sizeBytes, generation };
      })
    );
  }));
  return sorted(lists.flat());
}

interface FoundLabel {
  readonly unit: string;
  readonly label: ReadLabel;
}

function labelsOf({ media }: Places): FoundLabel[] {
  return [...media].flatMap(([unit, media]) =>
    media.map((path) => ({ unit, label: readLabel(path) }))
  );
}

/** A volume's record has to be the same on every medium that it names, and on no other. */
function labelLegs(labels: readonly FoundLabel[]): Leg[] {
  const volumes = new Map<string, FoundLabel & { readonly volume: ReadVolume }>();
  for (const { unit, label } of labels) {
    for (const volume of label.volumes) {
      const other = volumes.get(volume.id);
      assert.deepEqual(volume, other?.volume ?? volume, `volume ${volume.id}: one record`);
      assert.equal(unit, other?.unit ?? unit, `volume ${volume.id}: one unit`);
      volumes.set(volume.id, { unit, label, volume });
    }
  }
  return sorted([...volumes.values()].map(({ unit, label, volume }) => {
    const holders = labels.filter((one) => one.label.volumes.some(({ id }) => id === volume.id));
    const media = holders.map((one) => one.label.mediumId).sort();
    assert.deepEqual(media, [...volume.media].sort(), `volume ${volume.id}: its media`);
    return legOf(volume, { unit, unitId: label.unitId });
  }));
}

function legOf(volume: ReadVolume, at: { readonly unit: string; readonly unitId: string }): Leg {
  const { id, number, leg, sizeBytes, grant } = volume;
  assert.ok(grant?.state === "active", `leg ${leg.leg} of ${leg.diskName} is granted`);
  assert.equal(grant.hostId, leg.ownerId);
  assert.equal(grant.sizeBytes, sizeBytes, `leg ${leg.leg} of ${leg.diskName} is granted whole`);
  return {
    disk: leg.diskName,
    diskId: leg.diskId,
    leg: leg.leg,
    ...at,
    host: leg.ownerName,
    volumeId: id,
    number,
    sizeBytes,
    generation: `${grant.generation.epoch}.${grant.generation.counter}`,
  };
}

/** Who is let in is the host that the catalog knows, on the word of no later station. */
function checkKeys(labels: readonly FoundLabel[], catalog: ReadCatalog): void {
  for (const { label } of labels) {
    assert.ok(label.epoch <= catalog.epoch, `epoch ${label.epoch}, catalog ${catalog.epoch}`);
    for (const { id, leg, grant } of label.volumes) {
      const known = catalog.legs.find(({ volumeId }) => volumeId === id);
      assert.equal(grant?.hostId, known?.hostId);
      assert.equal(grant?.hostKey.toHex(), known?.hostKey, `volume ${id}: the host's key`);
      assert.equal(leg.ownerKey.toHex(), known?.hostKey, `volume ${id}: the owner's key`);
      assert.ok(grant!.generation.epoch <= label.epoch, `volume ${id}: a generation of its epoch`);
    }
  }
}

function sorted<L extends Said>(legs: L[]): L[] {
  const key = ({ disk, host, leg }: Said) => `${host} ${disk} ${String(leg).padStart(3)}`;
  return legs.sort((a, b) => key(a) < key(b) ? -1 : 1);
}
