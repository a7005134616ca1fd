import assert from "node:assert/strict";
import fc from "fast-check";
import {
  COMMAND,
  COMMAND_FLAGS,
  TRANSMISSION_FLAGS,
  WIRE_ERROR,
  wireErrorOf,
} from "./constants.ts";
import { type ExportInfo, transmissionFlagsOf } from "./export_info.ts";
import { NOTHING_AGREED, requestError, RequestReader, writeRequest } from "./request.ts";

const TIB = 2 ** 40;
const TRAITS = {
  sizeBytes: TIB,
  readOnly: false,
  canDiscard: true,
  canZero: true,
  flushCoversAll: true,
};
const EXPORT: ExportInfo = {
  sizeBytes: TIB,
  flags: transmissionFlagsOf(TRAITS),
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 2 ** 25,
};

function sourceOf(bytes: Uint8Array) {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

const request = fc.record({
  flags: fc.nat(0xffff),
  command: fc.nat(0xffff),
  cookieHigh: fc.nat(0xffffffff),
  cookieLow: fc.nat(0xffffffff),
  position: fc.maxSafeNat(),
  length: fc.nat(0xffffffff),
}, { noNullPrototype: true });

Deno.test("RequestReader reads what was written, for any division of the input", () => {
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 5 }), fc.nat(27), (requests, step) => {
      const bytes = new Uint8Array(28 * requests.length);
      const source = sourceOf(bytes);
      let end = 0;
      for (const one of requests) end = writeRequest(source.view, end, one);
      const reader = new RequestReader();
      const seen = [];
      let at = 0;
      while (at < bytes.length) {
        at = reader.take(source, at, Math.min(bytes.length, at + step + 1));
        assert.equal(reader.broken, false);
        if (!reader.complete) continue;
        const { flags, command, cookieHigh, cookieLow, position, length } = reader;
        seen.push({ flags, command, cookieHigh, cookieLow, position, length });
        reader.next(0);
      }
      assert.deepEqual(seen, requests);
    }),
  );
});

Deno.test("RequestReader skips a payload of up to 4 GiB across its input", () => {
  const reader = new RequestReader();
  reader.next(2 ** 32 - 1);
  const source = sourceOf(new Uint8Array(65536));
  let left = 2 ** 32 - 1;
  while (left > 65536) {
    assert.equal(reader.take(source, 0, 65536), 65536);
    left -= 65536;
  }
  assert.equal(reader.skipping, true);
  const fields = { flags: 0, command: 3, cookieHigh: 1, cookieLow: 2, position: 0, length: 0 };
  const tail = sourceOf(new Uint8Array(left + 28));
  writeRequest(tail.view, left, fields);
  assert.equal(reader.take(tail, 0, left + 28), left + 28);
  assert.equal(reader.complete, true);
  assert.equal(reader.command, 3);
});

Deno.test("RequestReader says when the stream is out of step, and never throws", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 28, maxLength: 100 }), (bytes) => {
    const reader = new RequestReader();
    reader.take(sourceOf(bytes), 0, bytes.length);
    assert.equal(reader.broken !== reader.complete, true);
  }));
});

Deno.test("RequestReader marks positions past 2^53 instead of rounding them", () => {
  for (const position of [2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    const source = sourceOf(new Uint8Array(28));
    writeRequest(source.view, 0, {
      flags: 0,
      command: 0,
      cookieHigh: 0,
      cookieLow: 0,
      position: 0,
      length: 4096,
    });
    source.view.setBigUint64(16, position);
    const reader = new RequestReader();
    reader.take(source, 0, 28);
    assert.equal(reader.position, -1);
    assert.equal(requestError(reader, EXPORT), WIRE_ERROR.invalid);
  }
});

const of = (command: number, position: number, length: number, flags = 0) => ({
  command,
  position,
  length,
  flags,
});

Deno.test("requestError() tells range errors by what the command does", () => {
  const cases: [ReturnType<typeof of>, number][] = [
    [of(COMMAND.read, TIB - 1, 1), 0],
    [of(COMMAND.read, TIB - 1, 2), WIRE_ERROR.invalid],
    [of(COMMAND.write, TIB - 1, 2), WIRE_ERROR.noSpace],
    [of(COMMAND.writeZeroes, TIB, 1), WIRE_ERROR.noSpace],
    [of(COMMAND.trim, TIB, 1), WIRE_ERROR.invalid],
    [of(COMMAND.write, -1, 1), WIRE_ERROR.noSpace],
    [of(COMMAND.read, 0, 2 ** 25), 0],
    [of(COMMAND.read, 0, 2 ** 25 + 1), WIRE_ERROR.invalid],
    [of(COMMAND.write, 0, 2 ** 32 - 1), WIRE_ERROR.invalid],
    [of(COMMAND.trim, 0, 2 ** 32 - 1), 0],
    [of(COMMAND.writeZeroes, 0, 2 ** 31), 0],
    [of(COMMAND.read, 2 ** 31, 2 ** 20), 0],
    [of(COMMAND.read, 2 ** 32, 2 ** 20), 0],
    [of(COMMAND.flush, 0, 0), 0],
    [of(COMMAND.cache, 0, 1), 0],
    [of(COMMAND.blockStatus, 0, 1), WIRE_ERROR.invalid],
    [of(0xffff, 0, 1), WIRE_ERROR.invalid],
  ];
  for (const [fields, error] of cases) {
    assert.equal(requestError(fields, EXPORT), error, JSON.stringify(fields));
  }
});

const ALL_AGREED = { structuredReplies: true, allocation: true, extendedHeaders: false };
const { sendCache, sendFastZero } = TRANSMISSION_FLAGS;
const FEW_OFFERED = { ...EXPORT, flags: EXPORT.flags & ~(sendCache | sendFastZero) };

Deno.test("requestError() allows FUA everywhere, and each other flag with its command only", () => {
  const own: Record<number, number> = {
    [COMMAND.read]: COMMAND_FLAGS.df,
    [COMMAND.writeZeroes]: COMMAND_FLAGS.noHole | COMMAND_FLAGS.fastZero,
    [COMMAND.blockStatus]: COMMAND_FLAGS.reqOne,
  };
  for (const command of [0, 1, 3, 4, 5, 6, 7]) {
    const allowed = COMMAND_FLAGS.fua | (own[command] ?? 0);
    for (let bit = 0; bit < 16; bit++) {
      const fields = of(command, 0, 512, 1 << bit);
      const right = (allowed & (1 << bit)) !== 0;
      assert.equal(requestError(fields, EXPORT, ALL_AGREED), right ? 0 : 22);
    }
  }
});

Deno.test("requestError() holds what was not agreed on or offered for invalid", () => {
  const { df, fastZero } = COMMAND_FLAGS;
  assert.equal(requestError(of(COMMAND.read, 0, 512, df), EXPORT, NOTHING_AGREED), 22);
  assert.equal(
    requestError(of(COMMAND.writeZeroes, 0, 512, fastZero), FEW_OFFERED, ALL_AGREED),
    22,
  );
  assert.equal(requestError(of(COMMAND.cache, 0, 512), FEW_OFFERED, ALL_AGREED), 22);
  const withoutContext = { ...ALL_AGREED, allocation: false };
  assert.equal(requestError(of(COMMAND.blockStatus, 0, 512), EXPORT, withoutContext), 22);
});

Deno.test("requestError() lets CACHE and BLOCK_STATUS ask about more than a payload holds", () => {
  for (const command of [COMMAND.cache, COMMAND.blockStatus]) {
    assert.equal(requestError(of(command, 0, 2 ** 32 - 1), EXPORT, ALL_AGREED), 0);
    assert.equal(requestError(of(command, TIB - 1, 2), EXPORT, ALL_AGREED), 22);
    assert.equal(requestError(of(command, -1, 1), EXPORT, ALL_AGREED), 22);
  }
  assert.equal(requestError(of(COMMAND.blockStatus, 0, 0), EXPORT, ALL_AGREED), 22);
  const readOnly = { ...EXPORT, flags: EXPORT.flags | TRANSMISSION_FLAGS.readOnly };
  assert.equal(requestError(of(COMMAND.cache, 0, 512), readOnly, ALL_AGREED), 0);
  assert.equal(requestError(of(COMMAND.blockStatus, 0, 512), readOnly, ALL_AGREED), 0);
});

Deno.test("requestError() refuses changes on a read-only export with EPERM", () => {
  const flags = transmissionFlagsOf({ ...TRAITS, readOnly: true });
  const readOnly = { ...EXPORT, flags };
  for (const command of [COMMAND.write, COMMAND.trim, COMMAND.writeZeroes]) {
    assert.equal(requestError(of(command, 0, 1), readOnly), WIRE_ERROR.perm);
  }
  assert.equal(requestError(of(COMMAND.read, 0, 1), readOnly), 0);
  assert.equal((flags & TRANSMISSION_FLAGS.sendTrim) === 0, true);
});

Deno.test("requestError() holds clients to the minimum block size", () => {
  const blocks = { ...EXPORT, minimumBlockBytes: 512 };
  assert.equal(requestError(of(COMMAND.read, 512, 512), blocks), 0);
  assert.equal(requestError(of(COMMAND.read, 1, 512), blocks), WIRE_ERROR.invalid);
  assert.equal(requestError(of(COMMAND.write, 512, 513), blocks), WIRE_ERROR.invalid);
  assert.equal(requestError(of(COMMAND.read, 2 ** 33 + 256, 512), blocks), WIRE_ERROR.invalid);
});

Deno.test("requestError() refuses TRIM and WRITE_ZEROES that were not offered", () => {
  const flags = transmissionFlagsOf({ ...TRAITS, canDiscard: false, canZero: false });
  assert.equal(requestError(of(COMMAND.trim, 0, 1), { ...EXPORT, flags }), WIRE_ERROR.invalid);
  assert.equal(requestError(of(COMMAND.writeZeroes, 0, 1), { ...EXPORT, flags }), 22);
});

Deno.test("wireErrorOf() says only what the protocol knows", () => {
  const allowed = new Set([0, 1, 5, 12, 22, 28, 75, 95, 108]);
  for (let errno = 0; errno < 140; errno++) assert.equal(allowed.has(wireErrorOf(errno)), true);
  for (const errno of [13, 30]) assert.equal(wireErrorOf(errno), WIRE_ERROR.perm);
  for (const errno of [27, 122]) assert.equal(wireErrorOf(errno), WIRE_ERROR.noSpace);
  assert.equal(wireErrorOf(110), WIRE_ERROR.io);
});

Deno.test("transmissionFlagsOf() offers exactly what an export can do", () => {
  const flag = TRANSMISSION_FLAGS;
  const always = flag.hasFlags | flag.sendFlush | flag.sendFua | flag.sendCache;
  const nothing = { readOnly: false, canDiscard: false, canZero: false, flushCoversAll: false };
  const flagsOf = (traits: Partial<typeof nothing>) =>
    transmissionFlagsOf({ ...TRAITS, ...nothing, ...traits });
  const zeroing = flag.sendWriteZeroes | flag.sendFastZero;
  assert.equal(flagsOf({}), always);
  assert.equal(flagsOf({ canDiscard: true }), always | flag.sendTrim);
  assert.equal(flagsOf({ canZero: true }), always | zeroing);
  // A flush that does not cover other connections' writes is never promised to.
  assert.equal(flagsOf({ flushCoversAll: true }), always | flag.canMultiConn);
  const all = { canDiscard: true, canZero: true, flushCoversAll: true };
  assert.equal(flagsOf(all), always | flag.sendTrim | zeroing | flag.canMultiConn);
  assert.equal(flagsOf({ ...all, readOnly: true }), always | flag.canMultiConn | flag.readOnly);
});
