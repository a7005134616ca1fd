import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Endpoint } from "../../protocol/config/link.ts";
import { beginStartup } from "../../protocol/config/handshake.ts";
import { decodePacket, NO_CLUSTER } from "../../protocol/config/packet.ts";
import { HALF_OPEN_STRANGERS_MAX, RATE_LIMIT_KEYS_MAX } from "../../protocol/core/limits.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import {
  HEARTBEAT,
  helloOf,
  LinkWorld,
  nodeKeys,
  SECRETS,
  SHORT_SESSIONS,
  STATION_ENDPOINT,
  STATION_KEYS,
} from "./world.ts";

const ECHO = { HEARTBEAT: () => Promise.resolve({ digest: "", epoch: 1 }) };

function recorder(world: LinkWorld) {
  const packets: { packet: Uint8Array; from: Endpoint; to: Endpoint }[] = [];
  world.network.onSend = (packet, from, to) => packets.push({ packet: packet.slice(), from, to });
  return packets;
}

/** Message 1 of a stranger, valid in every way but that nobody knows it. */
function startupOf(number: number, o: { joinSecret: Uint8Array | null }) {
  const random = (salt: number) => {
    const bytes = new Uint8Array(32).fill(salt);
    new DataView(bytes.buffer).setUint32(0, number);
    return bytes;
  };
  return beginStartup({
    keyPair: keyPairOf(random(8)),
    stationKey: STATION_KEYS.publicKey,
    ephemeral: keyPairOf(random(9)),
    cluster: NO_CLUSTER,
    correlation: 1,
    hello: helloOf("unit", `s${number}`),
    joinSecret: o.joinSecret,
  }).packet;
}

Deno.test("a restarted station is found again through a hint, and asks what it did not before", async () => {
  const world = new LinkWorld(1);
  const first = world.station({ handlers: ECHO });
  const unit = world.node(1);
  await world.connect(unit.link);
  first.close();
  const second = world.station({ handlers: ECHO });
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.equal(unit.link.counters.hints, 1);
  assert.equal(second.counters.sessions, 1);
  assert.equal(world.seen.connected.length, 2);
  unit.link.close();
});

Deno.test("a restarted node takes over its session, and what was asked of it is answered", async () => {
  const world = new LinkWorld(2);
  const station = world.station();
  const before = world.node(1);
  await world.connect(before.link);
  before.link.close();
  const asked = station.request(before.id, "NEED_STORAGE_INFO", {});
  const info = { revision: 5, epoch: 7, instance: "i", media: [], volumes: [] };
  const after = world.node(1, { handlers: { NEED_STORAGE_INFO: () => Promise.resolve(info) } });
  assert.deepEqual(await world.clock.until(asked), info);
  assert.equal(station.usage.members, 1);
  after.link.close();
});

Deno.test("a station that is silent is searched for, and found when it is back", async () => {
  const world = new LinkWorld(3);
  world.station({ handlers: ECHO });
  const unit = world.node(1);
  await world.connect(unit.link);
  world.network.weather = { loss: 1 };
  await assert.rejects(
    world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT)),
    (error) => error instanceof DvsanError && error.code === "timeout",
  );
  assert.equal(unit.link.state, "searching");
  world.network.weather = {};
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.equal(unit.link.state, "connected");
  unit.link.close();
});

Deno.test("keys change by count and by time under load, and no request notices", async () => {
  const world = new LinkWorld(4);
  const station = world.station({ handlers: ECHO, sessionLimits: SHORT_SESSIONS });
  const unit = world.node(1, { sessionLimits: SHORT_SESSIONS });
  world.network.weather = { loss: 0.05, duplication: 0.1, delayMs: 20 };
  await world.connect(unit.link);
  for (let i = 0; i < 300; i++) {
    await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  }
  const byCount = station.counters.sessions;
  assert(byCount > 5, `${byCount} sessions`);
  assert.equal(station.usage.members, 1);
  assert(station.usage.sessions <= 2);
  world.network.weather = {};
  await world.clock.run(10 * SHORT_SESSIONS.rekeyAfterMs);
  assert(station.counters.sessions >= byCount + 8);
  assert.equal(unit.states.filter((state) => state === "connected").length, 1);
  unit.link.close();
});

Deno.test("keys that are dead are used by nobody, and the node makes new ones", async () => {
  const world = new LinkWorld(5);
  const station = world.station({ handlers: ECHO, sessionLimits: SHORT_SESSIONS });
  const unit = world.node(1, { sessionLimits: SHORT_SESSIONS });
  await world.connect(unit.link);
  // The machine slept: no timer ran.
  world.clock.jump(2 * SHORT_SESSIONS.ageMsMax);
  assert.equal(station.node(unit.id), null);
  await assert.rejects(station.request(unit.id, "NEED_STORAGE_INFO", {}), /no session/);
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.notEqual(station.node(unit.id), null);
  unit.link.close();
});

Deno.test("replays of every packet from anywhere change nothing", async () => {
  const world = new LinkWorld(6);
  const packets = recorder(world);
  let handled = 0;
  const station = world.station({
    handlers: { HEARTBEAT: () => Promise.resolve({ digest: `${handled++}`, epoch: 1 }) },
  });
  const unit = world.node(1);
  await world.connect(unit.link);
  for (let i = 0; i < 5; i++) await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  const recorded = [...packets];
  const before = { heard: world.seen.heard, handshakes: station.counters.handshakes };
  const attacker = { address: "10.66.6.6", port: 66 };
  for (const { packet, to } of recorded) world.network.inject(packet, attacker, to);
  await world.clock.run(3000);
  assert.equal(handled, 5);
  assert.equal(world.seen.heard, before.heard);
  assert.equal(station.counters.handshakes, before.handshakes);
  assert.equal(world.seen.connected.length, 1);
  assert.deepEqual(station.node(unit.id)?.endpoint, unit.socket.local);
  assert(station.counters.replayed > 5);
  assert.equal(unit.link.state, "connected");
  unit.link.close();
});

Deno.test("a copy that is there before its packet moves nothing, at either end", async () => {
  const world = new LinkWorld(11);
  const station = world.station({ handlers: ECHO });
  const unit = world.node(1);
  const attacker = { address: "10.66.6.6", port: 66 };
  const sealedTo = new Set<string>();
  // Everything, the handshake's messages and its confirmation too, overtaken by a copy.
  world.network.onSend = (packet, _from, to) => {
    const decoded = decodePacket(packet);
    if (typeof decoded === "string") return;
    if (decoded.kind === "sealed") sealedTo.add(to.address);
    if (to.address !== attacker.address) world.network.inject(packet, attacker, to);
  };
  await world.connect(unit.link);
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.deepEqual(station.node(unit.id)?.endpoint, unit.socket.local);
  assert.deepEqual(sealedTo, new Set([STATION_ENDPOINT.address, unit.socket.local.address]));
  assert.equal(station.counters.sessions, 1);
  assert.equal(station.counters.moves, 0);
  unit.link.close();
});

Deno.test("message 1 replayed before it is confirmed changes no session and costs one answer", async () => {
  const world = new LinkWorld(7);
  const packets = recorder(world);
  const station = world.station({ handlers: ECHO });
  const unit = world.node(1);
  await world.connect(unit.link);
  const old = station.node(unit.id);
  // A second life of the same node whose packets only an attacker sees.
  packets.length = 0;
  world.members.clear();
  const ghost = startupOfNode(1);
  for (let i = 0; i < 5; i++) {
    world.network.inject(ghost, { address: "10.66.6.6", port: 66 }, STATION_ENDPOINT);
  }
  assert.deepEqual(station.node(unit.id), old);
  assert.equal(station.usage.halfOpen.strangers + station.usage.halfOpen.members, 1);
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  assert.equal(station.counters.sessions, 1);
  unit.link.close();
});

function startupOfNode(number: number): Uint8Array {
  return beginStartup({
    keyPair: nodeKeys(number),
    stationKey: STATION_KEYS.publicKey,
    ephemeral: keyPairOf(new Uint8Array(32).fill(0xee)),
    cluster: NO_CLUSTER,
    correlation: 99,
    hello: helloOf("unit", `unit${number}`),
    joinSecret: SECRETS.unit,
  }).packet;
}

Deno.test("strangers by the thousand keep no member out, and tables stay bounded", async () => {
  const world = new LinkWorld(8);
  const station = world.station({ handlers: ECHO });
  // It is a member from before, and the station was just restarted.
  const number = 1;
  const { publicKey } = nodeKeys(number);
  const unit = world.node(number, { joinSecret: null });
  world.members.set(unit.id, publicKey);
  // Some hold a join key, some do not; every packet has an address of its own.
  const startups = Array.from(
    { length: 400 },
    (_, i) => startupOf(i, { joinSecret: i % 2 === 0 ? SECRETS.unit : null }),
  );
  for (let i = 0; i < 5000; i++) {
    const packet = startups[i % startups.length]!;
    const from = { address: `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`, port: 5 };
    world.network.inject(packet, from, STATION_ENDPOINT);
  }
  assert(station.counters.limited > 4000);
  await world.connect(unit.link);
  assert.notEqual(station.node(unit.id), null);
  const { halfOpen, addresses } = station.usage;
  assert(halfOpen.strangers <= HALF_OPEN_STRANGERS_MAX && addresses <= RATE_LIMIT_KEYS_MAX);
  assert.equal(world.seen.connected.length, 1);
  unit.link.close();
});

Deno.test("a hint is not obeyed twice in a short time, and hints are limited", async () => {
  const world = new LinkWorld(9);
  const packets = recorder(world);
  const station = world.station({ handlers: ECHO });
  const unit = world.node(1);
  await world.connect(unit.link);
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  const sealed = packets.map(({ packet }) => packet).find((packet) => {
    const decoded = decodePacket(packet);
    return typeof decoded !== "string" && decoded.type === "HEARTBEAT";
  });
  assert(sealed !== undefined);
  station.drop(unit.id);
  packets.length = 0;
  for (let i = 0; i < 500; i++) world.network.inject(sealed, unit.socket.local, STATION_ENDPOINT);
  assert(packets.length <= 20, `${packets.length} hints`);
  assert(packets.every(({ packet }) => packet.length < sealed.length));
  const before = unit.link.counters.handshakes ?? 0;
  await world.clock.run(1000);
  assert.equal(unit.link.counters.hints, 1);
  assert.equal(unit.link.counters.handshakes, before + 1);
  unit.link.close();
});

Deno.test("random and bent packets cost a counter at both ends", async () => {
  const world = new LinkWorld(10);
  const packets = recorder(world);
  const station = world.station({ handlers: ECHO });
  const unit = world.node(1);
  await world.connect(unit.link);
  await world.clock.until(unit.link.request("HEARTBEAT", HEARTBEAT));
  const { heard } = world.seen;
  const random = world.random();
  for (const { packet, from, to } of [...packets]) {
    for (let i = 0; i < 60; i++) {
      const bent = packet.slice(0, i % 3 === 0 ? random.bytes(1)[0]! * 4 : packet.length);
      const at = Math.floor(random.fraction() * bent.length);
      if (bent.length > 0) bent[at]! ^= 1 << (i % 8);
      world.network.inject(bent, from, to);
    }
  }
  for (let i = 0; i < 300; i++) {
    world.network.inject(random.bytes(i * 4), unit.socket.local, STATION_ENDPOINT);
    world.network.inject(random.bytes(i * 4), STATION_ENDPOINT, unit.socket.local);
  }
  await world.clock.run(1000);
  assert.equal(world.seen.heard, heard);
  assert(station.counters.bad > 200 && (unit.link.counters.bad ?? 0) > 200);
  assert.equal(unit.link.state, "connected");
  unit.link.close();
});
