import assert from "node:assert/strict";
import { silentLog } from "../../../protocol/core/log.ts";
import { HOST, KIB, TestRequest, VOLUME } from "../../../storage/devices/testing_leg.ts";
import { TlsLegBench } from "../../../storage/devices/testing_tls_leg.ts";
import type { RemoteLeg } from "../../../storage/devices/leg.ts";
import { FakeUnit } from "../../../storage/nbd/testing_unit.ts";
import { TlsService } from "../../../storage/tls/service.ts";
import { credentialsOf } from "../../../storage/tls/testing.ts";
import { needs } from "../../needs.ts";
import type { Chance } from "../chance.ts";
import { RecordProxy } from "../record_proxy.ts";
import type { FuzzTarget } from "../target.ts";

const SIZE_BYTES = 256 * KIB;
const BLOCK_BYTES = 4 * KIB;
/** Attaching and answering; what somebody between swallowed costs as much. */
const TIMEOUT_MS = 150;
const BUFFERS_MAX = 150;

/**
 * A host's leg and a unit that both require TLS, on real sockets, and somebody between who cuts
 * what they say into any pieces and damages, cuts off, swaps, repeats, lengthens or makes up
 * records: to either side the other one is hostile. Every request ends, buffers are
 * bounded, everything is closed in the end, and no read ever brings what was not written.
 */
export const TLS_LEG: FuzzTarget = {
  name: "tls-leg",
  cases: 12,
  async run(chance) {
    const kind = chance.pick(["uring", "epoll"] as const);
    // The same seed runs on epoll where there is no io_uring.
    const bench = new TlsLegBench(needs({ uring: kind === "uring" }) === null ? kind : "epoll");
    const unitTls = new TlsService({ log: silentLog() });
    unitTls.use(credentialsOf("unit"));
    const unit = new FakeUnit(bench.io, {
      hostKey: HOST.publicKey,
      volumeId: VOLUME,
      sizeBytes: SIZE_BYTES,
      door: bench.door(unitTls),
    });
    const isHonest = chance.oneIn(4);
    const proxy = new RecordProxy({
      to: unit.port,
      chance,
      isHonest: () => isHonest || chance.oneIn(4),
    });
    const timeoutMs = isHonest ? 100_000 : TIMEOUT_MS;
    const leg = bench.leg(proxy.address, { sizeBytes: SIZE_BYTES, timeoutMs });
    const blocks = Array.from({ length: SIZE_BYTES / BLOCK_BYTES }, () => new Set([0]));
    for (let wave = chance.between(1, 4); wave > 0; wave--) {
      const asked = Array.from({ length: chance.between(1, 10) }, () => ask(bench, leg, chance));
      for (const { block, fill } of asked) if (fill !== null) blocks[block]!.add(fill);
      await bench.until(() => {
        const { taken } = bench.io.buffers;
        assert.ok(taken <= bench.taken + BUFFERS_MAX, `${taken} buffers are taken`);
        return asked.every(({ request }) => request.isDone);
      }, "the requests' end");
      for (const each of asked) judge(each, { held: blocks[each.block]!, isHonest });
    }
    await bench.end(leg, async (done) => {
      await proxy.close();
      unit.stop(() => {
        unit.close();
        void unitTls.stop().then(done);
      });
    });
  },
};

interface Asked {
  readonly request: TestRequest;
  readonly block: number;
  /** What it writes; null: it reads. */
  readonly fill: number | null;
}

function ask(bench: TlsLegBench, leg: RemoteLeg, chance: Chance): Asked {
  const block = chance.below(SIZE_BYTES / BLOCK_BYTES);
  const request = new TestRequest(bench.io, BLOCK_BYTES);
  const { off, length, operation } = request;
  const at = { off, length, position: block * BLOCK_BYTES };
  if (chance.oneIn(2)) {
    leg.read(operation, at);
    return { request, block, fill: null };
  }
  const fill = chance.between(1, 255);
  request.bytes.fill(fill);
  leg.write(operation, at, chance.oneIn(4));
  return { request, block, fill };
}

function judge(
  { request, fill }: Asked,
  { held, isHonest }: { held: ReadonlySet<number>; isHonest: boolean },
): void {
  const { result, bytes, length } = request;
  if (isHonest) assert.equal(result, length, "only pieces were made of what was said");
  if (fill === null && result === length) {
    const first = bytes[0]!;
    assert.ok(bytes.every((byte) => byte === first), "a block is of one kind");
    assert.ok(held.has(first), `a block holds ${first}`);
  }
  request.release();
}
