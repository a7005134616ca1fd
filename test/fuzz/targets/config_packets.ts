import assert from "node:assert/strict";
import type { Endpoint } from "../../../protocol/config/link.ts";
import type { Chance } from "../chance.ts";
import { HEARTBEAT, LinkWorld, SHORT_SESSIONS, STATION_ENDPOINT } from "../../link/world.ts";
import type { FuzzTarget } from "../target.ts";

interface Seen {
  readonly packet: Uint8Array;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

/** A station and two nodes at work while somebody between them bends, repeats and makes packets. */
export const CONFIG_PACKETS: FuzzTarget = {
  name: "config-packets",
  cases: 12,
  async run(chance) {
    const world = new LinkWorld(chance.seed);
    const seen: Seen[] = [];
    world.network.onSend = (packet, from, to) => seen.push({ packet: packet.slice(), from, to });
    let handled = 0;
    const station = world.station({
      sessionLimits: SHORT_SESSIONS,
      handlers: { HEARTBEAT: () => Promise.resolve({ digest: `${handled++}`, epoch: 1 }) },
    });
    const nodes = [
      world.node(1, { sessionLimits: SHORT_SESSIONS }),
      world.node(2, { role: "host", sessionLimits: SHORT_SESSIONS }),
    ];
    for (const { link } of nodes) await world.connect(link);
    const rounds = chance.between(3, 10);
    for (let round = 0; round < rounds; round++) {
      for (let times = chance.below(60); times > 0; times--) inject(chance, world, seen);
      // Whatever was sent to them, both sides go on.
      const { link } = chance.pick(nodes);
      await world.clock.until(link.request("HEARTBEAT", HEARTBEAT));
      await world.clock.run(chance.below(500));
    }
    assert.equal(handled, rounds, "every request is handled once");
    assert.equal(station.usage.members, nodes.length);
    assert.equal(world.members.size, nodes.length);
    for (const { link } of nodes) link.close();
    station.close();
  },
};

function inject(chance: Chance, world: LinkWorld, seen: readonly Seen[]): void {
  const { packet, from, to } = chance.pick(seen);
  const source = chance.oneIn(4) ? { address: "10.66.6.6", port: 66 } : from;
  const target = chance.oneIn(8) ? STATION_ENDPOINT : to;
  if (chance.oneIn(6)) return world.network.inject(packet, source, target);
  if (chance.oneIn(4)) {
    // A true header, and anything behind it.
    const made = chance.bytes(chance.between(0, 1300));
    made.set(packet.subarray(0, Math.min(made.length, chance.between(0, 80))));
    return world.network.inject(made, source, target);
  }
  let bent = chance.bend(packet);
  if (chance.oneIn(3)) bent = chance.bend(bent);
  // A bent packet that came out as the true one would be a repeat, which has its own turn.
  world.network.inject(bent, source, target);
}
