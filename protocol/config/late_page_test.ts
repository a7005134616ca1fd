import assert from "node:assert/strict";
import { Asker } from "./asker.ts";
import { encodeBody, pagesOf } from "./body.ts";
import { newCounters } from "./counters.ts";
import { NO_CLUSTER } from "./packet.ts";
import { REQUESTS } from "./requests.ts";
import { ManualClock, SeededRandom } from "./test_world.ts";

Deno.test("a late page of an older answer holds up the newer one for a repeat, and no longer", async () => {
  const clock = new ManualClock();
  const info = (name: string) => ({
    ...{ revision: 1, epoch: 0, instance: name.repeat(64), volumes: [] },
    media: Array.from({ length: 8 }, (_, at) => ({
      ...{ id: `00000000-0000-4000-8000-00000000000${at}`, path: `/${name.repeat(400)}` },
      ...{ sizeBytes: 1, freeBytes: 0, zeroedBytes: 0, largestVolumeBytes: 0 },
      ...{ state: "ok" as const, sequence: 1, errors: 0 },
    })),
  });
  const [older, newer] = ["a", "b"].map((name) =>
    pagesOf(encodeBody(REQUESTS.NEED_STORAGE_INFO.answer, info(name)))
  ) as [ReturnType<typeof pagesOf>, ReturnType<typeof pagesOf>];
  let isLate = false;
  const deliver = ({ pages, revision }: typeof older, correlation: number, at: number) =>
    asker.onAnswer({
      ...{ type: "ACK", kind: "sealed", cluster: NO_CLUSTER, session: "", counter: 0 },
      ...{ correlation, page: at, pages: pages.length, revision },
      ...{ header: new Uint8Array(), body: new Uint8Array() },
    }, pages[at]!);
  const asker = new Asker({
    clock,
    random: new SeededRandom(1),
    counters: newCounters(),
    // The peer has the newer answer only: whoever pulls another gets that one's start.
    send: ({ kind, correlation, page: at, revision }) => {
      const isSame = kind === "pull" && revision === newer.revision;
      clock.after(1, () => {
        deliver(newer, correlation, isSame ? at : 0);
        if (isLate) return;
        isLate = true;
        deliver(older, correlation, 0);
      });
    },
    peerName: () => 'unit "u1"',
  });
  assert(newer.pages.length > 2);
  const told = await clock.until(asker.ask("NEED_STORAGE_INFO", {}, { timeoutMs: 10_000 }));
  assert.equal(told.instance, "b".repeat(64));
  assert(clock.nowMs() < 2000, `${clock.nowMs()} ms`);
});
