import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { utf8 } from "../../protocol/core/bytes.ts";
import { type Asker, Operation } from "../io/operation.ts";
import { FakeConnection, terms, VOLUME, World } from "./testing_gate.ts";

const TOKEN = "a-token-that-nobody-guesses";

function directWorld(): World {
  const tokenHash = new Uint8Array(createHash("sha256").update(utf8(TOKEN)).digest());
  return new World(terms(1, { tokenHash, addresses: ["127.0.0.1"] }));
}

Deno.test("a direct token works from an announced address only, also when IPv6 shows it", () => {
  const world = directWorld();
  const at = (address: string) => new FakeConnection(1, { address, port: 1 });
  const found = world.gate.find(at("127.0.0.1"), TOKEN);
  // One connection at a time has nobody to promise MULTI_CONN to.
  assert.equal("device" in found && found.device.traits.flushCoversAll, false);
  assert.ok("device" in world.gate.find(at("::ffff:127.0.0.1"), TOKEN));
  assert.ok("refused" in world.gate.find(at("127.0.0.2"), TOKEN));
  assert.ok("refused" in world.gate.find(at("127.0.0.1"), TOKEN + "x"));
  assert.ok("refused" in world.gate.find(at("127.0.0.1"), "x".repeat(5000)));
});

Deno.test("a volume that was opened by a token is called by its id, never by the token", () => {
  const world = directWorld();
  assert.equal(world.entry(new FakeConnection(1), TOKEN).name, VOLUME);
});

Deno.test("of direct connections the newest wins, and its requests wait for the older one's", () => {
  const world = directWorld();
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  const first = world.entry(a, TOKEN);
  first.opened(a);
  first.device.flush(new Operation(() => {}));
  assert.deepEqual(world.device.seen, ["flush"]);
  const second = world.entry(b, TOKEN);
  assert.equal(a.isShut, false, "asking about an export throws nobody out");
  second.opened(b);
  assert.ok(a.isShut);
  const results: number[] = [];
  second.device.flush(new Operation((operation) => results.push(operation.result)));
  const third = world.entry(c, TOKEN);
  third.opened(c);
  assert.ok(b.isShut);
  assert.deepEqual(results, [-108], "what never reached the volume ends when it is thrown out");
  b.becomeQuiet();
  third.device.write(new Operation(() => {}), { off: 0, length: 1, position: 0 }, false);
  assert.deepEqual(world.device.seen, ["flush"]);
  a.becomeQuiet();
  assert.deepEqual(world.device.seen, ["flush", "write"]);
  third.device.read(new Operation(() => {}), { off: 0, length: 1, position: 0 });
  assert.deepEqual(world.device.seen, ["flush", "write", "read"]);
});

Deno.test("a direct connection that is lost while it waits holds up neither fence nor newcomer", () => {
  const world = directWorld();
  const [a, b, agent] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.entry(a, TOKEN).opened(a);
  const second = world.entry(b, TOKEN);
  second.opened(b);
  const results: number[] = [];
  const write = new Operation((operation) => {
    results.push(operation.result);
    world.gate.ended(b, { clean: false, reason: "lost" });
  });
  second.device.write(write, { off: 0, length: 1, position: 0 }, false);
  // Its client is gone; it cannot end before what it keeps back has.
  b.isOver = true;
  // The agent was not told yet that its disk was handed out.
  const { answers } = world.attach(agent, { attachment: 1 });
  assert.equal(answers[0]?.kind, "refused");
  assert.deepEqual(results, [-108]);
  let fenced = false;
  world.gate.fence(VOLUME, { nowMs: 1, settled: () => fenced = true });
  assert.equal(fenced, false, "the first one's requests are under way");
  a.becomeQuiet();
  assert.ok(fenced);
  assert.deepEqual(world.device.seen, []);
});

Deno.test("who attached to a volume opens no other on that connection, with a token neither", () => {
  const world = directWorld();
  const volumeId = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
  world.table.load(volumeId, { terms: terms(1), fenced: false, attachment: 0 });
  const agent = new FakeConnection(1);
  assert.equal(world.attach(agent, { attachment: 1, volumeId }).answers[0]?.kind, "answer");
  for (const name of [TOKEN, "standalone"]) {
    assert.ok("refused" in world.gate.find(agent, name), name);
  }
  const own = world.entry(agent, volumeId);
  own.opened(agent);
  assert.ok(world.table.isOpen(agent.id));
});

const CLEAN = { clean: true, reason: "DISC" };

/** Opens the volume by the token; a flush of it, whose result comes once it has ended. */
function opened(world: World, id: number) {
  const connection = new FakeConnection(id);
  const entry = world.entry(connection, TOKEN);
  entry.opened(connection);
  return {
    flush(asker: Asker | null = null): number {
      const results: number[] = [];
      const operation = new Operation(({ result }) => results.push(result));
      operation.asker = asker;
      entry.device.flush(operation);
      assert.deepEqual(results, [], "a device ends nothing within a call");
      world.device.endFlush();
      return results[0]!;
    },
    end(): void {
      connection.becomeQuiet();
      entry.closed(connection, CLEAN);
      world.gate.ended(connection, CLEAN);
    },
  };
}

Deno.test("who comes back by a token after a loss is told by one failed flush", () => {
  const world = directWorld();
  const first = opened(world, 1);
  assert.equal(first.flush(), 0);
  first.end();
  // Its unit's machine loses its power before what it wrote is durable.
  world.verifier = "v2";
  world.device.endFlush();
  const silent = opened(world, 4);
  silent.end();
  // The unit's own sync is nobody's answer.
  world.device.endFlush();
  const second = opened(world, 2);
  assert.equal(second.flush({ hasGone: true, sinceMs: 0 }), -5);
  second.end();
  world.device.endFlush();
  const third = opened(world, 3);
  assert.equal(third.flush(), -5, "the one before had gone when it would have been told");
  assert.equal(third.flush(), 0);
  third.end();
  world.device.endFlush();
  assert.deepEqual(world.marks, {}, "nothing is left to lose");
});

Deno.test("what a token's connection wrote is synced when it ends, and no newer one's mark with it", () => {
  const world = directWorld();
  const first = opened(world, 1);
  assert.deepEqual(Object.keys(world.marks), [VOLUME]);
  first.end();
  assert.deepEqual(world.device.seen, ["flush"]);
  const second = opened(world, 2);
  world.device.endFlush();
  assert.deepEqual(Object.keys(world.marks), [VOLUME]);
  second.end();
  world.device.endFlush(-5);
  assert.deepEqual(Object.keys(world.marks), [VOLUME], "it was not made durable");
  for (const id of [3, 4]) opened(world, id).end();
  world.device.endFlush();
  assert.deepEqual(Object.keys(world.marks), [VOLUME], "the newer one's is not durable yet");
  world.device.endFlush();
  assert.deepEqual(world.marks, {});
});

Deno.test("what a token's newcomer sent before it was let in tells it of a loss, too", () => {
  const world = directWorld();
  const first = opened(world, 1);
  world.verifier = "v2";
  const newcomer = new FakeConnection(2);
  const entry = world.entry(newcomer, TOKEN);
  entry.opened(newcomer);
  const results: number[] = [];
  entry.device.flush(new Operation(({ result }) => results.push(result)));
  assert.deepEqual(world.device.seen, [], "the one before is not quiet");
  first.end();
  world.device.endFlush();
  assert.deepEqual(results, [-5]);
  assert.deepEqual(world.device.flushes, [], "one that was superseded settles nothing");
  assert.deepEqual(Object.keys(world.marks), [VOLUME]);
});
