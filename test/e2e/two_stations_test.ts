import assert from "node:assert/strict";
import { PoolView } from "../../web/station_api.ts";
import { waitFor } from "../wait.ts";
import { agree } from "./agreement.ts";
import { type Cluster, STATION_ADDRESS } from "./cluster.ts";
import { Writer } from "./consumer.ts";
import { confirm, copyFolder } from "./recovering.ts";
import { scenario } from "./scenario.ts";

const NODES = ["u1", "u2", "h1", "h2"];
/** Those that find the clone first. */
const MOVED = ["u2", "h2"];
/** One on each unit. */
const DISKS = ["db", "web"];
const SIZE = "56M";
/** Of each disk, before it goes on. */
const WRITES = 50;
const WHY = /obeys another station with the same key/;

interface Writers {
  /** Resolves after further writes to each disk. */
  further(): Promise<void>;
  /** Stops, and reads back all that was acknowledged. */
  verify(): Promise<void>;
}

scenario({
  name: "a clone of the station runs beside its original: units show it, and one gives way",
  async run({ cluster, step }) {
    const { lab } = cluster;
    const { address } = await lab.machine("clone");
    for (const name of NODES) await lab.nameHosts(name, { station: STATION_ADDRESS });
    cluster.station = "station";
    const writers = await startPool(cluster);
    await step("nobody knows the clone's address: it has no nodes, and does nothing", async () => {
      copyStation(cluster);
      await cluster.startStation("clone");
      cluster.follow("clone");
      const { stderr } = await cluster.ctl("disk", "create", "h1", "theirs", "--size", "8M");
      assert.match(stderr, /"u1" silent since the station started/);
      await writers.further();
      cluster.follow("station");
      await cluster.createDisk("h1", "ours", "8M");
      await agree(cluster);
    });
    await step("a unit and a host find the clone: both hand out space at one moment", async () => {
      for (const name of MOVED) await moveTo(cluster, name, address);
      cluster.follow("clone");
      for (const name of MOVED) await cluster.untilState(name, "online");
      await cluster.createDisk("h2", "theirs", "8M");
      cluster.follow("station");
      for (const name of MOVED) await cluster.untilState(name, "silent");
      await cluster.createDisk("h1", "more", "8M");
      assert.equal((await cluster.api.get("/pool", PoolView)).state, "normal");
      await writers.further();
    });
    await step("the unit is back: the original gives way and says why", async () => {
      await moveTo(cluster, "u2", STATION_ADDRESS);
      await untilSuperseded(cluster, "station");
      await writers.further();
    });
    await step("it is stopped, and all are with the clone, which knows all", async () => {
      for (const name of NODES) await lab.nameHosts(name, { station: address });
      assert.equal(await cluster.member("station").stop(), 0);
      cluster.follow("clone");
      await comeTogether(cluster, [...DISKS, "more", "ours", "theirs"]);
      await writers.further();
      await writers.verify();
    });
  },
});

scenario({
  name: "a clone of the station has its original's address, and the original comes back",
  async run({ cluster, step }) {
    const { lab } = cluster;
    const writers = await startPool(cluster);
    await step("while the original is cut off, all are with the clone", async () => {
      copyStation(cluster);
      await lab.cut("station");
      await lab.renumber("clone", Number(STATION_ADDRESS.split(".").at(-1)));
      await cluster.startStation("clone");
      for (const name of NODES) await lab.takeForNeighbour(name, "clone");
      cluster.follow("clone");
      for (const name of NODES) await cluster.untilState(name, "online");
      await cluster.createDisk("h1", "more", "8M");
      await agree(cluster);
      await writers.further();
    });
    await step("both at one address: the original gives way and says why", async () => {
      await lab.heal("station");
      await writers.further();
      // Who is found there is a matter of chance; sooner or later it is the original.
      await lab.takeForNeighbour("u1", "station");
      await untilSuperseded(cluster, "station");
      cluster.follow("clone");
      assert.equal((await cluster.api.get("/pool", PoolView)).state, "normal");
      await writers.further();
    });
    await step("it is stopped, and all agree with the clone", async () => {
      assert.equal(await cluster.member("station").stop(), 0);
      for (const name of NODES) await lab.takeForNeighbour(name, "clone");
      cluster.follow("clone");
      await comeTogether(cluster, [...DISKS, "more"]);
      await writers.further();
      await writers.verify();
    });
  },
});

/** Two units, a disk of the first host on each of them, and somebody who writes to both. */
async function startPool(cluster: Cluster): Promise<Writers> {
  await Promise.all([
    ...["u1", "u2"].map((name) => cluster.unit(name, [96])),
    ...["h1", "h2"].map((name) => cluster.host(name)),
  ]);
  const writers: Writer[] = [];
  for (const name of DISKS) {
    writers.push(await Writer.start(await cluster.createDisk("h1", name, SIZE)));
  }
  const units = (await cluster.view("disks")).map(({ legs }) =>
    legs.map(({ unit }) => unit).join()
  );
  assert.deepEqual(units.sort(), ["u1", "u2"]);
  const all = {
    further: async () => void await Promise.all(writers.map((writer) => writer.further(WRITES))),
    verify: async () => void await Promise.all(writers.map((writer) => writer.verify())),
  };
  await all.further();
  return all;
}

/** As a snapshot of its machine has it: all of the same moment. */
function copyStation(cluster: Cluster): void {
  const station = cluster.member("station");
  station.signal("SIGSTOP");
  copyFolder(cluster.state("station"), cluster.state("clone"));
  station.signal("SIGCONT");
}

/** Its machine finds the station at that address from now on, and the node looks for it anew. */
async function moveTo(cluster: Cluster, name: string, address: string): Promise<void> {
  await cluster.lab.nameHosts(name, { station: address });
  await cluster.member(name).kill();
  await cluster.restart(name);
}

/** It changes nothing any more, and tells so wherever somebody looks. */
async function untilSuperseded(cluster: Cluster, name: string): Promise<void> {
  cluster.follow(name);
  await waitFor(`${name} to give way`, async () => {
    return (await cluster.api.get("/pool", PoolView)).state === "superseded";
  });
  assert.match(await cluster.mustCtl("pool"), /state +superseded/);
  assert.match(await cluster.mustCtl("recover"), WHY);
  assert.match(await cluster.mustCtl("events"), WHY);
  assert.ok(cluster.member(name).log.some((line) => WHY.test(line)));
  const refused = await cluster.ctl("disk", "create", "h1", "third", "--size", "8M");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, WHY);
}

/** All nodes are with the station that is asked, and what all of them hold agrees. */
async function comeTogether(cluster: Cluster, disks: readonly string[]): Promise<void> {
  for (const name of NODES) await cluster.untilState(name, "online");
  await waitFor("all disks to be known", async () => {
    const names = (await cluster.view("disks")).map(({ name }) => name).sort();
    return names.join() === disks.toSorted().join();
  });
  await confirm(cluster);
  await agree(cluster);
  assert.equal((await cluster.api.get("/pool", PoolView)).state, "normal");
}
