import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { utf8 } from "../../protocol/core/bytes.ts";
import { MIB } from "../../protocol/core/limits.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { nodeFigures } from "../counters/figures.ts";
import { CELL, MEDIUM_CELL, TYPE } from "../counters/layout.ts";
import { inFlightOf } from "../counters/reader.ts";
import { LIMIT_MS } from "./testing_stall.ts";
import { copyMedium, type Setting, unitTest } from "./testing_setting.ts";
import {
  grantOf,
  HOST,
  keys,
  legOf,
  OTHER_HOST,
  STATION,
  UnitWorld,
  VOLUME,
} from "./testing_world.ts";

/** What a unit would find on the medium if the power failed now. */
async function grantStateOnDisk({ kind, path }: Setting): Promise<string | undefined> {
  const copy = `${path}-copy`;
  copyMedium(path, copy);
  const world = new UnitWorld({ kind, path: copy });
  try {
    await world.start();
    const { volumes } = await world.call("storageInfo", null);
    await world.drain();
    return volumes[0]?.grant?.state;
  } finally {
    world.destroy();
    Deno.removeSync(copy);
  }
}

const revoke = (volume: VolumeInfo, counter: number) => ({
  station: STATION,
  volumeId: VOLUME,
  expectedSequence: volume.sequence,
  generation: { epoch: 1, counter },
});

/** Asks for the fence, and is told that it takes too long. */
async function revokedTooSlowly({ world, volume }: Setting): Promise<void> {
  const asked = assert.rejects(world.begin("accessRevoke", revoke(volume, 1)), { code: "fencing" });
  await world.until(() => world.stall.limits === 1);
  world.stall.passLimits();
  await world.run(asked);
}

unitTest("a proven host reads and writes the volume it was granted", async ({ world }) => {
  const client = await world.attached({ attachment: 1 });
  assert.equal(client.sizeBytes, 8 * MIB);
  assert.equal(await client.read(0), 0, "nobody reads what was there before");
  assert.equal(await client.write(4096, 0xab), 0);
  assert.equal(await client.flush(), 0);
  assert.equal(await client.read(4096), 0xab);
  const second = await world.attached({ attachment: 1 });
  assert.equal(await second.read(4096), 0xab);
  const figures = nodeFigures(world.counters.read(), 0);
  assert.deepEqual([figures.connections, figures.reads, figures.writes], [2, 3, 1]);
  const rows = world.counters.read();
  assert.equal(rows.filter(({ kind }) => kind === "connection").length, 2);
  const medium = rows.find(({ kind }) => kind === "medium")!.cells;
  assert.ok(medium[CELL.bytes + TYPE.read]! >= 3 * 4096, "what hosts read came from the medium");
  assert.ok(medium[CELL.requests + TYPE.flush]! > 0);
  assert.deepEqual([inFlightOf(medium), medium[MEDIUM_CELL.poisoned]], [0, 0]);
  await client.leave();
  await second.leave();
});

unitTest(
  "another key, an older and a newer generation are told apart",
  async ({ world, volume }) => {
    assert.equal(await world.refusal({ attachment: 1, host: OTHER_HOST }), "denied");
    assert.equal(await world.refusal({ attachment: 1, counter: 0 }), "fenced");
    assert.equal(await world.refusal({ attachment: 1, counter: 2 }), "unknown");
    assert.equal(await world.refusal({ attachment: 1, unitKey: keys(9).publicKey }), "denied");
    const client = await world.attached({ attachment: 1 });
    const next = grantOf(volume, { counter: 2, host: OTHER_HOST });
    await world.call("accessGrant", next);
    await world.until(() => client.ended !== null);
    assert.equal(await world.refusal({ attachment: 2 }), "fenced");
    const other = await world.attached({ attachment: 1, counter: 2, host: OTHER_HOST });
    await other.leave();
  },
);

unitTest("a higher attachment waits for the writes of the lower ones", async ({ world }) => {
  const old = await world.attached({ attachment: 1 });
  assert.equal(await old.write(0, 1), 0);
  world.stall.on = true;
  const inFlight = old.beginWrite(0, 2);
  await world.until(() => world.stall.count === 1);
  let isAnswered = false;
  const attaching = world.attach({ attachment: 2 }).finally(() => isAnswered = true);
  await world.until(() => old.ended !== null);
  await world.turns(20);
  assert.equal(isAnswered, false, "a write of the old connection is under way");
  assert.equal(await world.run(inFlight), -1, "its sender learned nothing of it");
  world.stall.release();
  const outcome = await world.run(attaching);
  assert.equal(outcome.kind, "attached");
  const next = await world.attached({ attachment: 3 });
  assert.equal(await next.read(0), 2, "it landed before the answer");
  assert.equal(await world.refusal({ attachment: 2 }), "superseded");
  await next.leave();
});

unitTest("a fence is durable before it is acknowledged", async (setting) => {
  const { world, volume } = setting;
  const client = await world.attached({ attachment: 1 });
  world.stall.on = true;
  const inFlight = client.beginWrite(0, 7);
  await world.until(() => world.stall.count === 1);
  await revokedTooSlowly(setting);
  assert.equal(await world.run(inFlight), -1);
  assert.equal(await world.refusal({ attachment: 2 }), "busy");
  assert.equal(await grantStateOnDisk(setting), "active");
  const { volumes } = await world.call("storageInfo", null);
  assert.equal(volumes[0]?.grant?.state, "fencing");
  await revokedTooSlowly(setting);
  world.stall.release();
  const fenced = await world.call("accessRevoke", revoke(volume, 1));
  assert.equal(fenced.grant?.state, "fenced");
  assert.equal(await grantStateOnDisk(setting), "fenced");
  assert.equal(await world.refusal({ attachment: 2 }), "fenced");
}, { fenceAnswerMs: LIMIT_MS });

unitTest("another station joins no fence that is under way", async (setting) => {
  const { world, volume } = setting;
  const client = await world.attached({ attachment: 1 });
  world.stall.on = true;
  const inFlight = client.beginWrite(0, 7);
  await world.until(() => world.stall.count === 1);
  const granted = world.begin("accessGrant", grantOf(volume, { counter: 2 }));
  await world.turns(20);
  const twin = { station: { ...STATION, instance: "twin" } };
  const others = { ...grantOf(volume, { counter: 2, host: OTHER_HOST }), ...twin };
  const asked = assert.rejects(world.begin("accessGrant", others), { code: "stale-epoch" });
  await world.turns(20);
  world.stall.release();
  await world.run(asked);
  assert.equal((await world.run(granted)).grant?.hostId, HOST.id);
  assert.equal(await world.run(inFlight), -1);
});

unitTest("a restarted unit serves its grants by itself", async ({ kind, path, world }) => {
  const client = await world.attached({ attachment: 5 });
  assert.equal(await client.write(0, 3), 0);
  await world.drain();
  await world.until(() => client.ended !== null);
  const next = new UnitWorld({ kind, path });
  try {
    await next.start();
    const back = await next.attached({ attachment: 6 });
    assert.notEqual(back.verifier, client.verifier, "errors of the run before are not known");
    assert.equal(await back.read(0), 3);
    assert.equal(await next.refusal({ attachment: 5 }), "superseded");
    await back.leave();
    await next.drain();
  } finally {
    next.destroy();
  }
});

unitTest("new connections see a grown volume, open ones keep their size", async (setting) => {
  const { world, volume } = setting;
  const before = await world.attached({ attachment: 1 });
  await world.call("volumeResize", {
    station: STATION,
    volumeId: VOLUME,
    expectedSequence: volume.sequence,
    sizeBytes: 16 * MIB,
    leg: legOf(HOST),
  });
  await world.call("accessGrant", grantOf(await world.zeroed(), { counter: 1 }));
  const after = await world.attached({ attachment: 1 });
  assert.deepEqual([before.sizeBytes, after.sizeBytes], [8 * MIB, 16 * MIB]);
  assert.equal(await after.write(12 * MIB, 9), 0);
  assert.equal(await after.read(12 * MIB), 9);
  assert.equal(await before.write(0, 1), 0, "the open connection goes on");
  assert.notEqual(await before.write(12 * MIB, 1), 0);
  await before.leave();
  await after.leave();
});

unitTest("nobody comes in while the unit drains, and a fenced volume can go", async (setting) => {
  const { world, volume } = setting;
  const remove = { station: STATION, volumeId: VOLUME };
  await assert.rejects(
    world.call("volumeDelete", { ...remove, expectedSequence: volume.sequence }),
    { code: "busy" },
  );
  const fenced = await world.call("accessRevoke", revoke(volume, 1));
  await world.call("volumeDelete", { ...remove, expectedSequence: fenced.sequence });
  assert.equal(await world.refusal({ attachment: 1 }), "unknown");
  await world.drain();
  await assert.rejects(world.call("listen", { address: "127.0.0.1", port: 0 }), {
    code: "draining",
  });
});

unitTest("a direct token lets one consumer in, the newest, and no agent", async (setting) => {
  const { world, volume } = setting;
  const token = "t".repeat(43);
  const tokenHash = new Uint8Array(createHash("sha256").update(token).digest());
  const agent = await world.attached({ attachment: 1 });
  const direct = { tokenHash, addresses: ["127.0.0.1"] };
  const granted = await world.call("accessGrant", grantOf(volume, { counter: 2, direct }));
  await world.until(() => agent.ended !== null);
  assert.equal(await world.refusal({ attachment: 2, counter: 2 }), "fenced");
  const first = await goTo(world, token);
  assert.equal(first.replyType, NBD_REPLY_INFO);
  const second = await goTo(world, token);
  assert.equal(second.replyType, NBD_REPLY_INFO);
  assert.equal(await endOf(world, first.connection), true);
  const wrong = await goTo(world, token + "x");
  assert.equal(wrong.replyType, NBD_REPLY_ERROR_UNKNOWN);
  await world.call("accessRevoke", revoke(granted, 2));
  assert.equal(await endOf(world, second.connection), true);
  const late = await goTo(world, token);
  assert.equal(late.replyType, NBD_REPLY_ERROR_UNKNOWN);
  for (const { connection } of [first, second, wrong, late]) connection.close();
});

const NBD_REPLY_INFO = 3;
const NBD_REPLY_ERROR_UNKNOWN = 0x80000006;

/** A consumer without our agent, byte by byte: greeting, flags, GO; the first reply's type. */
async function goTo(
  world: UnitWorld,
  name: string,
): Promise<{ connection: Deno.TcpConn; replyType: number }> {
  const exchange = async () => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: world.address.port });
    await readBytes(connection, 18);
    const go = new Uint8Array(4 + 16 + 4 + name.length + 2);
    const view = new DataView(go.buffer);
    view.setUint32(0, 3);
    view.setBigUint64(4, 0x49484156454f5054n);
    view.setUint32(12, 7);
    view.setUint32(16, name.length + 6);
    view.setUint32(20, name.length);
    go.set(utf8(name), 24);
    await connection.write(go);
    const reply = await readBytes(connection, 20);
    return { connection, replyType: new DataView(reply.buffer).getUint32(12) };
  };
  return await world.meanwhile(exchange());
}

/** Whether the server ends the connection. */
function endOf(world: UnitWorld, connection: Deno.TcpConn): Promise<boolean> {
  const read = async () => {
    while (true) {
      const count = await connection.read(new Uint8Array(256)).catch(() => null);
      if (count === null) return true;
    }
  };
  return world.meanwhile(read());
}

async function readBytes(connection: Deno.TcpConn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let have = 0;
  while (have < count) {
    const more = await connection.read(bytes.subarray(have));
    assert.ok(more !== null, "the server went away");
    have += more;
  }
  return bytes;
}
