import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import {
  HEARTBEAT_MS,
  NODE_SILENT_MS,
  STATION_MULTICAST_ADDRESS,
  STATION_SILENCE_MS,
} from "../../protocol/core/limits.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import { decodePacket } from "../../protocol/config/packet.ts";
import { CLUSTER, HEARTBEAT, helloOf, LinkWorld, SECRETS, STATION_ENDPOINT } from "./world.ts";

Deno.test("a unit joins with its key, asks and is asked", async () => {
  const world = new LinkWorld();
  const station = world.station({
    handlers: {
      HEARTBEAT: (_body, from) => Promise.resolve({ digest: from.hello.name, epoch: 7 }),
    },
  });
  const unit = world.node(1, {
    handlers: {
      NEED_STORAGE_INFO: () =>
        Promise.resolve({ revision: 1, epoch: 7, instance: "i", media: [], volumes: [] }),
    },
  });
  await world.connect(unit.link);
  assert.equal(world.seen.connected.length, 1);
  assert.equal(world.seen.connected[0]?.joinProved, true);
  assert.equal(world.seen.connected[0]?.node.id, unit.id);
  assert.deepEqual(station.node(unit.id)?.endpoint, unit.socket.local);
  assert.equal(unit.link.clusterId, CLUSTER);
  const answer = await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.deepEqual(answer, { digest: "unit1", epoch: 7 });
  const info = await world.clock.until(station.request(unit.id, "NEED_STORAGE_INFO", {}));
  assert.equal(info.revision, 1);
  assert.deepEqual(unit.states, ["handshake", "connected"]);
  unit.link.close();
  station.close();
  assert.equal(world.clock.pending, 0, "no timer is left");
});

Deno.test("a host's key does not admit a unit, and the reason arrives in words", async () => {
  const world = new LinkWorld();
  const station = world.station();
  const unit = world.node(1, { joinSecret: SECRETS.host });
  await world.clock.run(1000);
  assert.equal(unit.link.state, "refused");
  assert.match(unit.link.reason ?? "", /join key is not valid/);
  assert.equal(station.node(unit.id), null);
  // At once: no time passes here.
  await assert.rejects(
    unit.link.request("HEARTBEAT", HEARTBEAT),
    (error) =>
      error instanceof DvsanError && error.code === "unavailable" &&
      /join key/.test(error.message),
  );
  unit.link.close();
});

Deno.test("a refused node is let in once it is approved", async () => {
  const world = new LinkWorld();
  world.station();
  const unit = world.node(1, { joinSecret: null });
  await world.clock.run(1000);
  assert.equal(unit.link.state, "refused");
  world.members.set(unit.id, keyPairOf(new Uint8Array(32).fill(1)).publicKey);
  await world.connect(unit.link);
  assert.equal(world.seen.connected[0]?.joinProved, false);
  unit.link.close();
});

Deno.test("a name that is taken is refused", async () => {
  const world = new LinkWorld();
  world.station();
  const first = world.node(1, { name: "db" });
  await world.connect(first.link);
  const second = world.node(2, { name: "db" });
  await world.clock.run(1000);
  assert.match(second.link.reason ?? "", /taken/);
  first.link.close();
  second.link.close();
});

Deno.test("another station's key finds nobody and changes nothing", async () => {
  const world = new LinkWorld();
  const station = world.station();
  const other = keyPairOf(new Uint8Array(32).fill(0x77));
  const unit = world.node(1, { stationKey: other.publicKey });
  await world.clock.run(5000);
  assert.equal(unit.link.state, "searching");
  assert.match(unit.link.reason ?? "", /does not answer/);
  assert.equal(station.counters.handshakes, 0);
  assert(station.counters.bad > 2);
  unit.link.close();
});

Deno.test("a node of another cluster is told so", async () => {
  const world = new LinkWorld();
  world.station();
  const unit = world.node(1, { clusterId: "ffffffff-4455-6677-8899-aabbccddeeff" });
  await world.clock.run(1000);
  assert.equal(unit.link.state, "refused");
  assert.match(unit.link.reason ?? "", /cluster/);
  unit.link.close();
});

Deno.test("a hello with every table full still fits into one packet", async () => {
  const world = new LinkWorld();
  world.station();
  const long = Array.from({ length: 16 }, (_, i) => `2001:db8:1111:2222:3333:4444:5555:${i}`);
  const unit = world.node(1, {
    hello: () => ({
      ...helloOf("unit", "n".repeat(63)),
      interfaces: long,
      dataAddresses: long.map((address) => `[${address}]:10809`),
    }),
  });
  await world.connect(unit.link);
  const hello = world.seen.connected[0]!.node.hello;
  assert(hello.dataAddresses.length > 4);
  assert.equal(hello.name.length, 63);
  unit.link.close();
});

Deno.test("a station's name is looked up anew for every attempt, and a node that moved is back within a heartbeat", async () => {
  const world = new LinkWorld();
  const answers = [["10.9.9.9"], [], ["10.9.9.8", STATION_ENDPOINT.address]];
  let asked = 0;
  const unit = world.node(1, {
    station: "station.example",
    resolve: () => Promise.resolve(answers[Math.min(asked++, 2)]!),
  });
  const station = world.station({
    handlers: { HEARTBEAT: () => Promise.resolve({ digest: "", epoch: 1 }) },
  });
  await world.connect(unit.link);
  assert(asked >= 3);
  unit.socket.moveTo("10.0.2.99");
  // A hint is what it hears there: before anybody takes it for silent, it has a session again.
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT), HEARTBEAT_MS);
  assert.equal(station.node(unit.id)?.endpoint.address, "10.0.2.99");
  assert.equal(station.counters.moves, 1);
  unit.link.close();
});

Deno.test("a station that moved is found through its name, and not by what it sends", async () => {
  const world = new LinkWorld();
  const socket = world.network.open(STATION_ENDPOINT.address, STATION_ENDPOINT.port);
  const station = world.station({
    datagrams: socket,
    handlers: { HEARTBEAT: () => Promise.resolve({ digest: "", epoch: 1 }) },
  });
  socket.moveTo(STATION_ENDPOINT.address); // In the place of the world's own socket.
  const unit = world.node(1, {
    station: "station.example",
    resolve: () => Promise.resolve([socket.local.address]),
    handlers: {
      NEED_STORAGE_INFO: () =>
        Promise.resolve({ revision: 1, epoch: 7, instance: "i", media: [], volumes: [] }),
    },
  });
  await world.connect(unit.link);
  socket.moveTo("10.0.0.77");
  const asked = station.request(unit.id, "NEED_STORAGE_INFO", {});
  await world.clock.run(STATION_SILENCE_MS);
  assert.equal(unit.link.counters.sessions, 1, "its address proves nothing");
  const beat = unit.link.request("HEARTBEAT", HEARTBEAT);
  await world.clock.until(beat, NODE_SILENT_MS);
  assert.equal((await world.clock.until(asked)).revision, 1);
  assert.equal(unit.link.counters.sessions, 2);
  unit.link.close();
});

Deno.test("a node that hears the station and is not heard looks for it anew", async () => {
  const world = new LinkWorld();
  const station = world.station({
    handlers: { HEARTBEAT: () => Promise.resolve({ digest: "", epoch: 1 }) },
  });
  const unit = world.node(1);
  await world.connect(unit.link);
  const send = unit.socket.send;
  unit.socket.send = () => {};
  const asking = station.request(unit.id, "NEED_STORAGE_INFO", {}, { timeoutMs: 60_000 });
  asking.catch(() => {});
  const beat = unit.link.request("HEARTBEAT", HEARTBEAT);
  await assert.rejects(world.clock.until(beat), { code: "timeout" });
  assert.equal(unit.link.state, "searching");
  unit.socket.send = send;
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.equal(unit.link.state, "connected");
  unit.link.close();
});

Deno.test("a revoked node loses its session at once and is told why", async () => {
  const world = new LinkWorld();
  const station = world.station();
  const unit = world.node(1, { joinSecret: null });
  world.members.set(unit.id, keyPairOf(new Uint8Array(32).fill(1)).publicKey);
  await world.connect(unit.link);
  const asked = assert.rejects(station.request(unit.id, "NEED_STORAGE_INFO", {}), /ended/);
  world.members.delete(unit.id);
  station.drop(unit.id);
  await asked;
  assert.equal(station.node(unit.id), null);
  await assert.rejects(
    world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT)),
    (error) => error instanceof DvsanError && error.code === "timeout",
  );
  assert.equal(unit.link.state, "refused");
  unit.link.close();
});

Deno.test("auto finds the station by multicast and keeps no address that it did not answer at", async () => {
  const world = new LinkWorld();
  const group = world.network.open(STATION_MULTICAST_ADDRESS, STATION_ENDPOINT.port);
  const station = world.station({
    handlers: { HEARTBEAT: () => Promise.resolve({ digest: "", epoch: 1 }) },
  });
  const attacker = { address: "10.66.6.6", port: 66 };
  // Whoever is on the local network hears the group, and copies the first answer that goes by.
  group.onPacket((packet, from) => world.network.inject(packet, from, STATION_ENDPOINT));
  const sealedTo: string[] = [];
  let copies = 0;
  world.network.onSend = (packet, _from, to) => {
    const decoded = decodePacket(packet);
    if (typeof decoded === "string") return;
    if (decoded.kind === "sealed") sealedTo.push(to.address);
    if (decoded.type === "NEED_STORAGE_INFO" && copies++ === 0) {
      world.network.inject(packet, attacker, to);
    }
  };
  const unit = world.node(1, { station: "auto" });
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.deepEqual(station.node(unit.id)?.endpoint, unit.socket.local);
  assert.deepEqual(
    new Set(sealedTo),
    new Set([STATION_ENDPOINT.address, unit.socket.local.address]),
  );
  unit.link.close();
});
