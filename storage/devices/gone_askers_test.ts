import assert from "node:assert/strict";
import { GIB, MIB, RANGE_PIECES_AT_ONCE } from "../../protocol/core/limits.ts";
import { createIo } from "../io/create.ts";
import { Operation } from "../io/operation.ts";
import type { Device } from "./device.ts";
import { ExtentsDevice } from "./extents.ts";
import { LinearDevice } from "./linear.ts";
import { MediumState } from "./medium_state.ts";
import { waitingRanges } from "./testing_ranges.ts";

const ESHUTDOWN = 108;
const SIZE_BYTES = 4 * GIB;

const LAYERS: readonly { name: string; over: (device: Device) => Device }[] = [
  { name: "ExtentsDevice", over: (device) => device },
  {
    name: "LinearDevice",
    over: (device) => new LinearDevice([{ device, sizeBytes: SIZE_BYTES }]),
  },
];

for (const { name, over } of LAYERS) {
  Deno.test(`${name} begins no more of a long range when who asked for it has gone`, () => {
    const io = createIo({ kind: "epoll", arena: { classes: [{ bytes: 4096, count: 1 }] } });
    const waiting = waitingRanges(io);
    const path = Deno.makeTempFileSync({ prefix: "dvsan-device-" });
    Deno.truncateSync(path, MIB);
    const handle = io.openMedium({ path, readOnly: false, exclusive: true });
    const state = new MediumState({ io: waiting.io, handle, sizeBytes: SIZE_BYTES });
    const extents = [{ handle, state, start: 0, length: SIZE_BYTES }];
    const device = over(new ExtentsDevice({ io: waiting.io, readOnly: false, extents }));
    const zeroes = { position: 0, length: SIZE_BYTES, mayDiscard: true, fast: false };
    const asks: readonly ((operation: Operation) => void)[] = [
      (operation) => device.discard(operation, { position: 0, length: SIZE_BYTES }, false),
      (operation) => device.zero(operation, { ...zeroes }, false),
    ];
    const next = () => {
      const { operation } = waiting.ranges.shift()!;
      operation.busy = false;
      operation.result = 0;
      operation.done(operation);
    };
    for (const ask of asks) {
      const asker = { hasGone: false, sinceMs: 0 };
      let result: number | null = null;
      const operation = new Operation((ended) => result = ended.result);
      operation.asker = asker;
      ask(operation);
      next();
      assert.equal(waiting.ranges.length, RANGE_PIECES_AT_ONCE, "for who is there it goes on");
      asker.hasGone = true;
      for (let left = RANGE_PIECES_AT_ONCE; left > 0; left--) {
        assert.deepEqual([waiting.ranges.length, result], [left, null]);
        next();
      }
      assert.deepEqual([waiting.ranges.length, result], [0, -ESHUTDOWN]);
    }
    io.destroy();
    Deno.removeSync(path);
  });
}
