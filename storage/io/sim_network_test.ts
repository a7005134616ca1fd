import assert from "node:assert/strict";
import { Errno } from "./errno.ts";
import type { Handle } from "./io.ts";
import { Operation } from "./operation.ts";
import { SimIo } from "./sim.ts";
import { SimWorld } from "./sim_world.ts";
import { TestSchedule } from "./testing_schedule.ts";

const SERVER = { address: "10.0.0.2", port: 7000 };

/** A client and a server on two machines, and a connection between them. */
class Bench {
  readonly schedule: TestSchedule;
  readonly world: SimWorld;
  readonly client: SimIo;
  server: SimIo;
  #due = new Set<SimIo>();

  constructor(seed = 1) {
    this.schedule = new TestSchedule(seed);
    this.world = new SimWorld({ schedule: this.schedule });
    this.client = this.#io("c", "10.0.0.1");
    this.server = this.#io("s", SERVER.address);
  }

  restartServer(): void {
    this.server = this.#io("s", SERVER.address);
  }

  /** Lets time pass, with turns of whoever has something to do. */
  pass(durationMs: number): void {
    const endMs = this.schedule.nowMs() + durationMs;
    for (let more = true; more;) {
      for (const io of [...this.#due]) {
        this.#due.delete(io);
        io.turn(0);
      }
      more = this.schedule.step(endMs) || this.#due.size > 0;
    }
    this.schedule.pass(endMs - this.schedule.nowMs());
  }

  until(condition: () => boolean, mostMs = 300_000): void {
    const endMs = this.schedule.nowMs() + mostMs;
    while (!condition()) {
      assert.ok(this.schedule.nowMs() < endMs, "it did not come true");
      this.pass(1);
    }
  }

  listen(): Operation {
    const listener = this.server.listenTcp(SERVER, { backlog: 4 });
    assert.ok(listener > 0);
    const accept = new Operation(() => {});
    this.server.accept(accept, listener);
    return accept;
  }

  connect(): [near: Handle, far: Handle] {
    const accept = this.listen();
    const connect = new Operation(() => {});
    this.client.connectTcp(connect, SERVER);
    this.until(() => !connect.busy && !accept.busy);
    return [connect.result, accept.result];
  }

  send(from: Handle, text: string): Operation {
    const bytes = new TextEncoder().encode(text);
    this.client.bytes.set(bytes, 0);
    const operation = new Operation(() => {});
    this.client.send(operation, from, 0, bytes.length);
    return operation;
  }

  /** What the server has received by then, or an errno. */
  receive(handle: Handle): { got: () => string | number | null } {
    const operation = new Operation(() => {});
    this.server.receive(operation, handle);
    const { server } = this;
    return {
      got: () => {
        if (operation.busy) return null;
        const { result, off } = operation;
        if (result <= 0) return result;
        return new TextDecoder().decode(server.bytes.subarray(off, off + result));
      },
    };
  }

  #io(machine: string, address: string): SimIo {
    const io: SimIo = new SimIo({
      world: this.world,
      arena: { classes: [{ bytes: 4096, count: 4 }], receiveBuffers: 4 },
      place: { machine, process: `${machine}#1`, address },
      onReady: () => this.#due.add(io),
    });
    return io;
  }
}

Deno.test("bytes of a connection that its owner gave up arrive late, on that connection", () => {
  const bench = new Bench();
  const [near, far] = bench.connect();
  bench.world.faults = { ...bench.world.faults, delayed: 1, delayedMs: [60_000, 60_000] };
  const first = bench.receive(far);
  bench.send(near, "on time");
  bench.until(() => first.got() === "on time");
  // The arrival of the first bytes has held up what follows them.
  const late = bench.receive(far);
  bench.send(near, "old bytes");
  bench.pass(100);
  bench.client.close(near);
  bench.pass(30_000);
  assert.equal(late.got(), null);
  bench.pass(60_000);
  assert.equal(late.got(), "old bytes");
});

Deno.test("a cut link holds bytes of one direction until it is mended", () => {
  const bench = new Bench();
  const [near, far] = bench.connect();
  bench.world.setLink("c", "s", { cut: true });
  const received = bench.receive(far);
  const sent = bench.send(near, "hello");
  bench.pass(10_000);
  assert.equal(sent.busy, false);
  assert.equal(received.got(), null);
  bench.world.setLink("c", "s", { cut: false });
  bench.pass(5000);
  assert.equal(received.got(), "hello");
});

Deno.test("while the way back is cut, no more is sent than the socket holds", () => {
  const bench = new Bench();
  bench.world.streamBytes = 4;
  const [near, far] = bench.connect();
  bench.world.setLink("s", "c", { cut: true });
  const received = bench.receive(far);
  const sent = bench.send(near, "12345678");
  bench.pass(1000);
  assert.equal(received.got(), "1234");
  assert.equal(sent.busy, true);
  bench.world.setLink("s", "c", { cut: false });
  bench.pass(5000);
  assert.equal(sent.busy, false);
});

Deno.test("nobody hears of a machine without power until its kernel is asked", () => {
  const bench = new Bench();
  const [near] = bench.connect();
  const waiting = new Operation(() => {});
  bench.client.receive(waiting, near);
  bench.world.powerCut("s");
  bench.send(near, "anybody there?");
  bench.pass(10_000);
  assert.equal(waiting.busy, true);
  const connect = new Operation(() => {});
  bench.client.connectTcp(connect, SERVER);
  bench.pass(1000);
  assert.equal(connect.busy, true);
  bench.world.powerOn("s");
  bench.pass(10_000);
  assert.equal(waiting.result, -Errno.ECONNRESET);
  assert.equal(connect.result, -Errno.ECONNREFUSED);
});

Deno.test("a silent connection ends by itself", () => {
  const bench = new Bench();
  const [near, far] = bench.connect();
  const received = bench.receive(far);
  bench.world.setLink("c", "s", { cut: true });
  bench.pass(10_000);
  assert.equal(received.got(), null);
  bench.pass(60_000);
  assert.equal(received.got(), -Errno.ETIMEDOUT);
  assert.ok(near > 0);
});

Deno.test("a killed process's kernel ends its connections", () => {
  const bench = new Bench();
  const [near] = bench.connect();
  const waiting = new Operation(() => {});
  bench.client.receive(waiting, near);
  bench.server.crash();
  bench.pass(1000);
  assert.equal(waiting.busy, false);
  assert.equal(waiting.result, 0);
  bench.restartServer();
  const connect = new Operation(() => {});
  bench.client.connectTcp(connect, SERVER);
  bench.pass(1000);
  assert.equal(connect.result, -Errno.ECONNREFUSED);
});

Deno.test("connections are reset, refused and cut into pieces as the faults say", () => {
  const bench = new Bench();
  const [near, far] = bench.connect();
  bench.world.faults = { ...bench.world.faults, runBytesMax: 2 };
  const piece = bench.receive(far);
  bench.send(near, "pieces");
  bench.until(() => piece.got() !== null);
  assert.ok(String(piece.got()).length < 6);
  bench.pass(1000);
  const rest = bench.receive(far);
  bench.until(() => rest.got() !== null);
  bench.world.faults = { ...bench.world.faults, reset: 1, refused: 1 };
  const lost = bench.receive(far);
  bench.send(near, "x");
  bench.pass(1000);
  assert.equal(lost.got(), -Errno.ECONNRESET);
  const connect = new Operation(() => {});
  bench.client.connectTcp(connect, SERVER);
  bench.pass(1000);
  assert.equal(connect.result, -Errno.ECONNREFUSED);
});

Deno.test("a connect that was given up leaves nothing behind when it is answered", () => {
  const bench = new Bench();
  const accept = bench.listen();
  bench.world.setLink("s", "c", { cut: true });
  const connect = new Operation(() => {});
  bench.client.connectTcp(connect, SERVER);
  bench.pass(1000);
  assert.ok(accept.result > 0);
  bench.client.cancel(connect);
  bench.pass(10);
  assert.equal(connect.result, -Errno.ECANCELED);
  const received = bench.receive(accept.result);
  bench.world.setLink("s", "c", { cut: false });
  bench.pass(10_000);
  assert.equal(received.got(), -Errno.ECONNRESET);
});

Deno.test("what is held up on its way to an Io is under way for it, until it is there", () => {
  const bench = new Bench();
  const [near, far] = bench.connect();
  const { server, world: { faults } } = bench;
  Object.assign(faults, { delayed: 1, delayedMs: [5000, 5000] });
  const first = bench.receive(far);
  assert.equal(server.hasBuffersUnderWay, false);
  bench.send(near, "one");
  bench.until(() => first.got() === "one");
  const second = bench.receive(far);
  bench.pass(100);
  assert.equal(server.hasBuffersUnderWay, false);
  bench.send(near, "two");
  bench.pass(3000);
  assert.deepEqual([second.got(), server.hasBuffersUnderWay], [null, true]);
  bench.until(() => second.got() === "two");
  bench.receive(far);
  bench.pass(100);
  assert.equal(server.hasBuffersUnderWay, false);
});

Deno.test("what was asked of a machine that lost its power is under way until that is known", () => {
  const bench = new Bench();
  const [near, far] = bench.connect();
  const { client } = bench;
  const asked = bench.receive(far);
  bench.send(near, "asked");
  bench.until(() => asked.got() === "asked");
  const answer = new Operation(() => {});
  client.receive(answer, near);
  bench.pass(100);
  assert.equal(client.hasBuffersUnderWay, false);
  bench.world.powerCut("s");
  bench.world.powerOn("s");
  bench.pass(10_000);
  assert.deepEqual([answer.busy, client.hasBuffersUnderWay], [true, true]);
  bench.until(() => !answer.busy);
  assert.equal(answer.result, -Errno.ECONNRESET);
  assert.equal(client.hasBuffersUnderWay, false);
});
