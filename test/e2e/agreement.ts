import assert from "node:assert/strict";
import { waitFor } from "../wait.ts";
import type { Cluster } from "./cluster.ts";
import { readLabel, type ReadVolume } from "./label_reader.ts";

/** One leg of a disk, as somebody sees it. */
interface Leg {
  readonly disk: string;
  readonly leg: number;
  readonly unit: string;
  readonly host: string;
  readonly sizeBytes: number;
  readonly generation: string;
}

/**
 * Waits until the station's view, the hosts' assignments and the labels on the units' media tell
 * the same of every disk, with nothing in between. All members of the cluster must run.
 */
export async function agree(cluster: Cluster): Promise<void> {
  await waitFor("station, hosts and labels to agree", async () => {
    const volumes = await cluster.view("volumes");
    const differences = volumes.map((volume) => volume.difference).filter((text) => text !== null);
    assert.deepEqual(differences, [], "the station sees no difference");
    const wanted = await stationLegs(cluster);
    assert.deepEqual(await hostLegs(cluster), wanted, "hosts and station agree");
    assert.deepEqual(labelLegs(cluster), wanted, "labels and station agree");
    return true;
  });
}

async function stationLegs(cluster: Cluster): Promise<Leg[]> {
  const disks = await cluster.view("disks");
  return sorted(disks.flatMap(({ name, host, state, legs }) => {
    assert.ok(state === "ready" || state === "direct", `disk ${name} is ${state}`);
    return legs.map(({ leg, unit, sizeBytes, generation }) => {
      return { disk: name, leg, unit, host, sizeBytes, generation };
    });
  }));
}

async function hostLegs(cluster: Cluster): Promise<Leg[]> {
  const hosts = (await cluster.view("hosts")).filter((host) => host.state === "online");
  const lists = await Promise.all(hosts.map(async (host) => {
    return (await cluster.listDisks(host.name)).flatMap((disk) =>
      disk.legs.map(({ leg, unit, sizeBytes, generation }) => {
        return { disk: disk.name, leg, unit, host: host.name, sizeBytes, generation };
      })
    );
  }));
  return sorted(lists.flat());
}

function labelLegs(cluster: Cluster): Leg[] {
  const volumes = new Map<string, Leg>();
  for (const [unit, media] of cluster.media) {
    for (const path of media) {
      for (const volume of readLabel(path).volumes) volumes.set(volume.id, legOf(volume, unit));
    }
  }
  return sorted([...volumes.values()]);
}

function legOf({ leg, sizeBytes, grant }: ReadVolume, unit: string): Leg {
  assert.ok(grant?.state === "active", `leg ${leg.leg} of ${leg.diskName} is granted`);
  assert.equal(grant.hostId, leg.ownerId);
  const generation = `${grant.generation.epoch}.${grant.generation.counter}`;
  return { disk: leg.diskName, leg: leg.leg, unit, host: leg.ownerName, sizeBytes, generation };
}

function sorted(legs: Leg[]): Leg[] {
  const key = ({ disk, host, leg }: Leg) => `${host} ${disk} ${String(leg).padStart(3)}`;
  return legs.sort((a, b) => key(a) < key(b) ? -1 : 1);
}
