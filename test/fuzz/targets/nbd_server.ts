import assert from "node:assert/strict";
import { silentLog } from "../../../protocol/core/log.ts";
import { MemoryDevice } from "../../../storage/devices/memory.ts";
import { SimIo } from "../../../storage/io/sim.ts";
import { SimWorld } from "../../../storage/io/sim_world.ts";
import { NbdServer } from "../../../storage/nbd/server.ts";
import { StandaloneExports } from "../../../storage/nbd/server_standalone.ts";
import type { Chance } from "../chance.ts";
import { Script } from "../nbd_script.ts";
import { ScriptedClient } from "../scripted_client.ts";
import type { FuzzTarget } from "../target.ts";

const KIB = 1024;
const TURNS_MAX = 200_000;

/**
 * A real server on the simulated Io, with few buffers and few requests; some clients that send in
 * any pieces, some of them garbage. Every request of a client that keeps to the protocol is
 * answered, in a way that a model of its disk expects, and nothing is left over.
 */
export const NBD_SERVER: FuzzTarget = {
  name: "nbd-server",
  cases: 150,
  run(chance) {
    const world = new SimWorld();
    world.streamBytes = chance.pick([300, 900, 4096, 64 * KIB]);
    // So many that a narrow stream is through within the turns that a case may take.
    const requests = chance.pick(world.streamBytes < KIB ? [1, 5] : [5, 40, 200]);
    const io = new SimIo({ world, arena: arenaOf(chance) });
    const limits = { requestsMax: chance.pick([1, 2, 8, 200]) };
    const server = new NbdServer({ io, log: silentLog(), limits });
    const gate = new StandaloneExports();
    const clients = Array.from({ length: chance.between(1, 4) }, (_, index) => {
      const sizeBytes = 256 * KIB;
      const memory = new MemoryDevice({ io, sizeBytes });
      const name = `disk${index}`;
      gate.add(name, memory);
      const [ours, theirs] = io.socketPair();
      server.serve(theirs, gate, null);
      const script = new Script(chance, { name, sizeBytes, requests });
      return { client: new ScriptedClient(io, { handle: ours, script, chance }), script, memory };
    });
    turn(io, chance, () => clients.every(({ client }) => client.isOver));
    for (const { client, script, memory } of clients) {
      script.check();
      if (!script.isBroken) assert.deepEqual(memory.bytes, script.model, "what the disk holds");
      client.close();
    }
    let over = false;
    server.shutAll("the case is over", () => over = true);
    turn(io, chance, () => over);
    // What a client had received when it closed is delivered to it still.
    io.turn(0);
    server.close();
    assert.equal(io.buffers.taken, 0, "every buffer was given back");
    io.destroy();
  },
};

function turn(io: SimIo, chance: Chance, until: () => boolean): void {
  for (let turns = 0; !until(); turns++) {
    assert.ok(turns < TURNS_MAX, "nothing goes on: somebody waits for ever");
    io.turn(chance.oneIn(10) ? 1 : 0);
  }
}

/** Every class has one buffer at least; that of 128 KiB is the clients' own, to send from. */
function arenaOf(chance: Chance) {
  const count = () => chance.between(1, 4);
  return {
    classes: [
      // Two are kept by the server's pool of requests.
      { bytes: 2 * KIB, count: 2 + count() },
      { bytes: 8 * KIB, count: 2 + count() },
      { bytes: 68 * KIB, count: 2 + count() },
      { bytes: 100 * KIB, count: count() },
      { bytes: 128 * KIB, count: 8 },
      // What was bent may ask for all of a disk.
      { bytes: 260 * KIB, count: count() },
    ],
    receiveBuffers: chance.between(4, 12),
  };
}
