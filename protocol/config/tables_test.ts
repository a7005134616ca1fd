import assert from "node:assert/strict";
import fc from "fast-check";
import {
  COLLECTING_MAX,
  COLLECTING_MS_MAX,
  COLLECTING_PER_PEER_MAX,
  HANDLING_PER_PEER_MAX,
  KEPT_ANSWER_BYTES_MAX,
  KEPT_ANSWERS_MAX,
  KEPT_ANSWERS_PER_PEER_MAX,
  KIB,
  RATE_LIMIT_KEYS_MAX,
  REPLAY_WINDOW_PACKETS,
  REQUESTS_PER_PEER_MAX,
} from "../core/limits.ts";
import { DvsanError } from "../core/errors.ts";
import { silentLog } from "../core/log.ts";
import { AnswerBook } from "./answer_book.ts";
import { Answerer } from "./answerer.ts";
import { Asker } from "./asker.ts";
import { decodeBody, encodeBody, pagesOf } from "./body.ts";
import { newCounters } from "./counters.ts";
import { NO_CLUSTER, NO_REVISION, type Packet, PAGE_BYTES } from "./packet.ts";
import { PageCollector } from "./page_collector.ts";
import { KeyedRateLimit, networkOf, RateLimit } from "./rate_limit.ts";
import { ReplayWindow } from "./replay_window.ts";
import { REQUESTS } from "./requests.ts";
import { Session } from "./session.ts";
import { ManualClock, SeededRandom } from "./test_world.ts";

const page = (correlation: number, pages = 2) => ({
  correlation,
  page: 0,
  pages,
  revision: NO_REVISION,
});
const answer = (sizeBytes: number) =>
  ({ kind: "ACK", pages: [], revision: "", sizeBytes }) as const;

Deno.test("AnswerBook keeps within its limits when one peer fills it, and when all do", () => {
  const clock = new ManualClock();
  const book = new AnswerBook(clock);
  for (let i = 1; i <= 3 * KEPT_ANSWERS_PER_PEER_MAX; i++) {
    const entry = book.add("peer", page(i), "HEARTBEAT");
    assert(entry !== null);
    book.run(entry);
    book.done(entry, answer(100));
  }
  assert.equal(book.usage.entries, KEPT_ANSWERS_PER_PEER_MAX);
  assert.equal(book.usage.bytes, 100 * KEPT_ANSWERS_PER_PEER_MAX);
  for (let i = 0; i < KEPT_ANSWERS_MAX + 500; i++) {
    const entry = book.add(`peer ${i}`, page(1), "HEARTBEAT")!;
    book.run(entry);
    book.done(entry, answer(1));
  }
  assert.equal(book.usage.entries, KEPT_ANSWERS_MAX);
  for (let i = 0; i < 100; i++) {
    const entry = book.add(`large ${i}`, page(1), "HEARTBEAT")!;
    book.run(entry);
    book.done(entry, answer(1024 * KIB));
    assert(book.usage.bytes <= KEPT_ANSWER_BYTES_MAX);
    assert.equal(book.find(`large ${i}`, 1), entry, "the newest is there to be pulled");
  }
});

Deno.test("AnswerBook bounds what is collected, and forgets what nobody goes on with", () => {
  const clock = new ManualClock();
  const book = new AnswerBook(clock);
  for (let i = 1; i <= 10; i++) book.add("peer", page(i), "VOLUME_ASSIGNMENT");
  assert.equal(book.usage.entries, COLLECTING_PER_PEER_MAX);
  for (let i = 0; i < COLLECTING_MAX; i++) book.add(`peer ${i}`, page(1), "VOLUME_ASSIGNMENT");
  assert.equal(book.usage.entries, COLLECTING_MAX);
  assert.equal(book.add("late", page(1), "VOLUME_ASSIGNMENT"), null);
  clock.jump(COLLECTING_MS_MAX);
  assert.notEqual(book.add("late", page(1), "VOLUME_ASSIGNMENT"), null);
  assert.equal(book.usage.entries, 1);
});

Deno.test("Answerer handles a bounded number of one peer's requests at a time", () => {
  const counters = newCounters();
  let running = 0;
  const answerer = new Answerer<null>({
    clock: new ManualClock(),
    log: silentLog(),
    counters,
    handlers: { TASK_QUERY: () => new Promise(() => running++) },
    forbidden: () => null,
    send: () => {},
  });
  const body = pagesOf(encodeBody(REQUESTS.TASK_QUERY.body, { taskId: "t" }));
  for (let correlation = 1; correlation <= 200; correlation++) {
    const packet: Packet = {
      type: "TASK_QUERY",
      kind: "sealed",
      cluster: NO_CLUSTER,
      session: "",
      counter: 0,
      ...page(correlation, 1),
      revision: body.revision,
      header: new Uint8Array(),
      body: new Uint8Array(),
    };
    answerer.onRequest({ peer: "p", from: null, packet, plaintext: body.pages[0]! });
  }
  assert.equal(running, HANDLING_PER_PEER_MAX);
  assert.equal(counters.limited, 200 - HANDLING_PER_PEER_MAX);
});

Deno.test("Answerer handles no request twice, also when its answer is long forgotten", async () => {
  const counters = newCounters();
  const handled: string[] = [];
  const sent: string[] = [];
  const answerer = new Answerer<null>({
    clock: new ManualClock(),
    log: silentLog(),
    counters,
    handlers: {
      DISK_RELEASE: ({ diskId }) => {
        handled.push(diskId);
        throw new DvsanError("not-found", "There is no such disk.");
      },
    },
    forbidden: () => null,
    send: (_peer, message) => void sent.push(`${message.type} ${message.correlation}`),
  });
  const diskId = "00000000-0000-4000-8000-000000000001";
  const body = pagesOf(encodeBody(REQUESTS.DISK_RELEASE.body, { diskId }));
  const ask = async (correlation: number) => {
    const packet: Packet = {
      type: "DISK_RELEASE",
      kind: "sealed",
      cluster: NO_CLUSTER,
      session: "",
      counter: 0,
      ...page(correlation, 1),
      revision: body.revision,
      header: new Uint8Array(),
      body: new Uint8Array(),
    };
    answerer.onRequest({ peer: "p", from: null, packet, plaintext: body.pages[0]! });
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  };
  const most = 2 * KEPT_ANSWERS_PER_PEER_MAX;
  for (let i = 1; i <= most; i++) await ask(2 ** 40 + i);
  assert.equal(handled.length, most);
  await ask(2 ** 40 + 1);
  assert.equal(handled.length, most);
  assert.equal(sent.at(-1), `REFUSED ${2 ** 40 + 1}`);
  assert.equal(counters.duplicates, 1);
  // The peer's next run starts anywhere, also below.
  await ask(2 ** 30);
  assert.equal(handled.length, most + 1);
});

Deno.test("Asker refuses more requests than its limit, and all end when it is told", async () => {
  const clock = new ManualClock();
  const asker = new Asker({
    clock,
    random: new SeededRandom(1),
    counters: newCounters(),
    send: () => {},
    peerName: () => "the station",
  });
  const ends: string[] = [];
  const ask = () =>
    asker.ask("TASK_QUERY", { taskId: "t" }).catch((error: unknown) => {
      ends.push(error instanceof DvsanError ? error.code : String(error));
    });
  const all = Array.from({ length: REQUESTS_PER_PEER_MAX + 3 }, ask);
  asker.failAll(new DvsanError("unavailable", "gone"));
  await Promise.all(all);
  assert.equal(ends.filter((code) => code === "limit").length, 3);
  assert.equal(ends.filter((code) => code === "unavailable").length, REQUESTS_PER_PEER_MAX);
  assert.equal(asker.waiting, 0);
  assert.equal(clock.pending, 0);
});

Deno.test("ReplayWindow takes each counter once, and none behind the window", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: 5 * REPLAY_WINDOW_PACKETS }), { maxLength: 400 }),
    (counters) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let newest = -1;
      for (const counter of counters) {
        const expected = !seen.has(counter) && counter > newest - REPLAY_WINDOW_PACKETS;
        assert.equal(window.accepts(counter), expected, `counter ${counter}`);
        if (!expected) continue;
        window.mark(counter);
        seen.add(counter);
        newest = Math.max(newest, counter);
      }
    },
  ));
});

Deno.test("Session seals no packet with a counter above its limit and opens none", () => {
  const key = new Uint8Array(32);
  const limits = { rekeyAfterMs: 1e6, rekeyAfterPackets: 5, ageMsMax: 1e7, packetsMax: 10 };
  const session = new Session({
    id: "0".repeat(32),
    cluster: NO_CLUSTER,
    keys: { send: key, receive: key },
    bornMs: 0,
    limits,
  });
  const message = { type: "ACK", kind: "part", ...page(0, 1) } as const;
  const counters = new Set<string>();
  for (let i = 0; i < 10; i++) {
    assert.equal(session.worn(0), i >= 5);
    const packet = session.seal(message, { plaintext: new Uint8Array(), nowMs: 0 });
    counters.add(String(packet?.subarray(40, 48)));
  }
  assert.equal(counters.size, 10, "no counter comes twice");
  assert.equal(session.seal(message, { plaintext: new Uint8Array(), nowMs: 0 }), null);
  assert(session.dead(0));
});

Deno.test("rate limits let a burst through, then their rate, and forget the oldest key", () => {
  const clock = new ManualClock();
  const limit = new RateLimit(clock, { perSecond: 2, burst: 5 });
  const passed = (count: number) => Array.from({ length: count }, () => limit.take());
  assert.equal(passed(20).filter(Boolean).length, 5);
  clock.jump(1000);
  assert.equal(passed(20).filter(Boolean).length, 2);
  clock.jump(1e9);
  assert.equal(passed(20).filter(Boolean).length, 5);
  const keyed = new KeyedRateLimit(clock, { perSecond: 1, burst: 1 });
  for (let i = 0; i < 3 * RATE_LIMIT_KEYS_MAX; i++) assert(keyed.take(`${i}`));
  assert.equal(keyed.size, RATE_LIMIT_KEYS_MAX);
  assert(!keyed.take(`${3 * RATE_LIMIT_KEYS_MAX - 1}`));
});

Deno.test("networkOf() is an IPv4 address, or an IPv6 one's network", () => {
  assert.equal(networkOf("10.0.0.1"), "10.0.0.1");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), networkOf("2001:0db8:1:2::9"));
  assert.notEqual(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"));
  assert.equal(networkOf("::1"), "0:0:0:0");
});

Deno.test("decodeBody() takes no random bytes, no nesting bomb, no duplicate or extra key", () => {
  const schema = REQUESTS.TASK_QUERY.body;
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.equal(decodeBody(schema, bytes), null);
  }));
  assert.equal(decodeBody(schema, new Uint8Array(60_000).fill(0x81)), null);
  const good = encodeBody(schema, { taskId: "t" });
  assert.deepEqual(decodeBody(schema, good), { taskId: "t" });
  const twice = Uint8Array.of(0xa2, ...good.subarray(1), ...good.subarray(1));
  assert.equal(decodeBody(schema, twice), null);
  assert.equal(decodeBody(schema, Uint8Array.of(...good, 0)), null);
});

Deno.test("PageCollector puts any body together in any order, and refuses pages of another", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5 * PAGE_BYTES }),
      fc.integer({ min: 1, max: 1e9 }),
      (size, seed) => {
        const body = new SeededRandom(seed).bytes(size);
        const { pages, revision } = pagesOf(body);
        const collector = new PageCollector({ pages: pages.length, revision });
        const order = [...pages.keys()].sort((a, b) => (a * seed) % 7 - (b * seed) % 7);
        for (const page of [...order, ...order]) {
          const name = { page, pages: pages.length, revision };
          assert(!collector.add({ ...name, revision: NO_REVISION }, pages[page]!));
          assert(!collector.add(name, new Uint8Array(PAGE_BYTES + 1)));
          assert(collector.add(name, pages[page]!));
        }
        assert(collector.complete);
        assert.deepEqual(collector.body(), body);
      },
    ),
    { numRuns: 40 },
  );
});

Deno.test("Asker ends at a request's last timer, also when that rings a moment too early", async () => {
  const clock = new ManualClock();
  let sent = 0;
  const asker = new Asker({
    clock: {
      nowMs: () => clock.nowMs(),
      wallMs: () => 0,
      // Timers of whole milliseconds, or a sum that was rounded down.
      after: (delayMs, run) => clock.after(Math.max(0, delayMs - 0.5), run),
    },
    random: new SeededRandom(1),
    counters: newCounters(),
    send: () => assert(++sent < 100, "repeats without a pause"),
    peerName: () => "the station",
  });
  const asked = asker.ask("TASK_QUERY", { taskId: "t" }, { timeoutMs: 1000 });
  await assert.rejects(clock.until(asked), { code: "timeout" });
  assert(sent >= 3, `${sent} packets`);
  assert.equal(clock.pending, 0);
});
