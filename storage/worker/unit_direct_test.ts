import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { utf8 } from "../../protocol/core/bytes.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { unitTest } from "./testing_setting.ts";
import { grantOf, UnitWorld } from "./testing_world.ts";

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
    const header = new Uint8Array(28);
    const fields = { command, flags: 0, cookieHigh: 0, cookieLow: 1, position: 0 };
    writeRequest(new DataView(header.buffer), 0, { ...fields, length: data.length });
    await this.#say(header, data);
    const reply = await this.#read(16);
    return new DataView(reply.buffer).getUint32(4);
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

unitTest(
  "who uses a unit directly is told when its machine restarted, once, and not of its process",
  async (setting) => {
    const { kind, path, world, volume } = setting;
    const tokenHash = new Uint8Array(createHash("sha256").update(TOKEN).digest());
    const direct = { tokenHash, addresses: ["127.0.0.1"] };
    await world.call("accessGrant", grantOf(volume, { counter: 2, direct }));
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
      Deno.copyFileSync(path, copy);
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
