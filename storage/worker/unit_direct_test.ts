import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { utf8 } from "../../protocol/core/bytes.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { LIMIT_MS } from "./testing_stall.ts";
import { copyMedium, type Setting, unitTest } from "./testing_setting.ts";
import { grantOf, HOST, legOf, STATION, UnitWorld } from "./testing_world.ts";

/** A consumer without our agent, over a restart of its unit and of the unit's machine. */

const TOKEN = "t".repeat(43);
const EIO = 5;
const BLOCK_BYTES = 4096;

/** Comes in by the token, and says one request after another. */
class Direct {
  readonly #world: UnitWorld;
  readonly #connection: Deno.TcpConn;

  private constructor(world: UnitWorld, connection: Deno.TcpConn) {
    this.#world = world;
    this.#connection = connection;
  }

  static async open(world: UnitWorld): Promise<Direct> {
    const { port } = world.address;
    const connecting = Deno.connect({ hostname: "127.0.0.1", port });
    const direct = new Direct(world, await world.meanwhile(connecting));
    await direct.#read(18);
    await direct.#say(encodeClientFlags(3), encodeOption(1, utf8(TOKEN)));
    await direct.#read(10);
    return direct;
  }

  /** The reply's error. */
  async ask(command: number, data = new Uint8Array(0)): Promise<number> {
    await this.begin(command, data);
    const reply = await this.#read(16);
    return new DataView(reply.buffer).getUint32(4);
  }

  async begin(command: number, data: Uint8Array): Promise<void> {
    const header = new Uint8Array(28);
    const fields = { command, flags: 0, cookieHigh: 0, cookieLow: 1, position: 0 };
    writeRequest(new DataView(header.buffer), 0, { ...fields, length: data.length });
    await this.#say(header, data);
  }

  close(): void {
    this.#connection.close();
  }

  async #say(...parts: Uint8Array[]): Promise<void> {
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        at += await this.#world.meanwhile(this.#connection.write(part.subarray(at)));
      }
    }
  }

  async #read(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count;) {
      const got = await this.#world.meanwhile(this.#connection.read(bytes.subarray(at)));
      assert.ok(got !== null, "the unit goes on");
      at += got;
    }
    return bytes;
  }
}

async function grantDirectly({ world, volume }: Setting): Promise<void> {
  const tokenHash = new Uint8Array(createHash("sha256").update(TOKEN).digest());
  const direct = { tokenHash, addresses: ["127.0.0.1"] };
  await world.call("accessGrant", grantOf(volume, { counter: 2, direct }));
}

unitTest(
  "who uses a unit directly is told when its machine restarted, once, and not of its process",
  async (setting) => {
    const { kind, path, world, volume } = setting;
    await grantDirectly(setting);
    const first = await Direct.open(world);
    assert.equal(await first.ask(COMMAND.write, new Uint8Array(BLOCK_BYTES).fill(1)), 0);
    assert.deepEqual(Object.keys(world.directMarks), [volume.id]);

    const { directMarks } = world;
    for (
      const { bootId, results } of [
        { bootId: world.bootId, results: [0, 0] },
        { bootId: "another boot", results: [EIO, 0] },
      ]
    ) {
      // Killed, with what it had said to keep: the connection is never seen to end.
      const copy = `${path}-${bootId}`;
      copyMedium(path, copy);
      const next = new UnitWorld({ kind, path: copy, bootId });
      try {
        await next.start({ directMarks });
        const back = await Direct.open(next);
        assert.equal(await back.ask(COMMAND.write, new Uint8Array(BLOCK_BYTES).fill(2)), 0);
        const flushes = [await back.ask(COMMAND.flush), await back.ask(COMMAND.flush)];
        assert.deepEqual(flushes, results, bootId);
        await next.drain();
        assert.deepEqual(next.directMarks, {}, "all is durable, and nobody is there");
        back.close();
      } finally {
        next.destroy();
      }
    }
    first.close();
  },
);

for (const what of ["a write", "a look"] as const) {
  unitTest(
    `after a reopening that ${what} held up, zeroing goes on and who uses a unit directly is known`,
    async (setting) => {
      const { world, volume } = setting;
      await grantDirectly(setting);
      const spare = { station: STATION, volumeId: randomUUID() };
      const size = { sizeBytes: 8 * MIB, leg: legOf(HOST) };
      await world.call("volumeCreate", { ...spare, expectedSequence: 0, ...size });
      await world.idle();
      const first = await Direct.open(world);
      const block = new Uint8Array(BLOCK_BYTES).fill(1);
      if (what === "a write") {
        world.stall.on = true;
        await first.begin(COMMAND.write, block);
      } else {
        world.stall.reading = true;
        await world.call("checkMedia", null);
      }
      await world.until(() => world.stall.count > 0);
      const { media: [medium] } = await world.call("storageInfo", null);
      const { id: mediumId, sequence: expectedSequence } = medium!;
      const reopen = { station: STATION, mediumId, expectedSequence, action: "reopen" } as const;
      await world.givenUp(reopen);
      // The newest wins: it waits for what the one before has under way.
      const second = await Direct.open(world);
      world.stall.release();
      assert.equal(await second.ask(COMMAND.write, block), 0);
      await world.turns(50);
      assert.deepEqual(Object.keys(world.directMarks), [volume.id], "its write is not flushed");
      first.close();
      second.close();
      await world.until(() => Object.keys(world.directMarks).length === 0);
      await world.turns(50);
      const { volumes } = await world.call("storageInfo", null);
      const sequence = volumes.find(({ id }) => id === spare.volumeId)!.sequence;
      await world.call("volumeDelete", { ...spare, expectedSequence: sequence });
      await world.idle();
    },
    { fenceAnswerMs: LIMIT_MS },
  );
}

unitTest(
  "who uses a unit directly is told once that a medium failed which was opened anew since",
  async (setting) => {
    const { world, volume } = setting;
    await grantDirectly(setting);
    await world.idle();
    const first = await Direct.open(world);
    assert.equal(await first.ask(COMMAND.write, new Uint8Array(BLOCK_BYTES).fill(1)), 0);
    world.stall.failingSyncs = 1;
    assert.equal(await first.ask(COMMAND.flush), EIO);
    await world.until(() => world.directMarks[volume.id]?.endsWith(" lost") === true);
    const { media: [medium] } = await world.call("storageInfo", null);
    const { id: mediumId, sequence: expectedSequence } = medium!;
    const reopen = { station: STATION, mediumId, expectedSequence, action: "reopen" } as const;
    await world.reopened(reopen);
    first.close();
    const back = await Direct.open(world);
    assert.deepEqual([await back.ask(COMMAND.flush), await back.ask(COMMAND.flush)], [EIO, 0]);
    back.close();
  },
);

unitTest(
  "who uses a unit directly is told once that an operator had it take over what may be a copy",
  async (setting) => {
    const { kind, path, world } = setting;
    await grantDirectly(setting);
    const first = await Direct.open(world);
    assert.equal(await first.ask(COMMAND.write, new Uint8Array(BLOCK_BYTES).fill(1)), 0);
    const { directMarks } = world;
    const { media: [served] } = await world.call("storageInfo", null);
    const copy = `${path}-copy`;
    copyMedium(path, copy);
    const next = new UnitWorld({ kind, path: copy, bootId: world.bootId });
    try {
      const knownDevices = { [served!.id]: { path, identity: "another device" } };
      await next.start({ directMarks, knownDevices });
      const { media: [moved] } = await next.call("storageInfo", null);
      assert.equal(moved!.state, "moved");
      const { id: mediumId, sequence: expectedSequence } = moved!;
      await next.reopened({ station: STATION, mediumId, expectedSequence, action: "adopt" });
      const back = await Direct.open(next);
      assert.deepEqual([await back.ask(COMMAND.flush), await back.ask(COMMAND.flush)], [EIO, 0]);
      back.close();
      await next.drain();
    } finally {
      next.destroy();
    }
    first.close();
  },
);
