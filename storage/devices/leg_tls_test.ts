import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat, utf8 } from "../../protocol/core/bytes.ts";
import { OPTION, REPLY, REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import {
  encodeGreeting,
  encodeOption,
  encodeOptionReply,
} from "../../protocol/nbd/option_frames.ts";
import { TlsLegBench } from "./testing_tls_leg.ts";

/** A host that requires TLS, and units on real sockets that would rather speak in the clear. */

const NOTHING = new Uint8Array(0);
const CLIENT_FLAGS_BYTES = 4;
const ACK = encodeOptionReply({ option: OPTION.startTls, type: REPLY.ack, payload: NOTHING });
/** What a host that parsed it would go on from: its next option is acknowledged. */
const STRUCTURED = encodeOptionReply({
  option: OPTION.structuredReply,
  type: REPLY.ack,
  payload: NOTHING,
});
const POLICY = encodeOptionReply({
  option: OPTION.startTls,
  type: REPLY_ERROR.policy,
  payload: utf8("switched off"),
});

/** A unit by hand: says `behind` to STARTTLS, and keeps all that it hears afterwards. */
class PlainUnit {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  /** Of each connection that ended: what came behind STARTTLS. */
  readonly heard: Uint8Array[] = [];
  readonly options: Uint8Array[] = [];
  readonly #served: Promise<void>;

  constructor(answers: readonly Uint8Array[]) {
    this.#served = this.#serve(answers);
  }

  get address(): string {
    const { hostname, port } = this.#listener.addr as Deno.NetAddr;
    return `${hostname}:${port}`;
  }

  async close(): Promise<void> {
    this.#listener.close();
    await this.#served;
  }

  async #serve(answers: readonly Uint8Array[]): Promise<void> {
    const ends: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) ends.push(this.#answer(conn, answers));
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    await Promise.all(ends);
  }

  async #answer(conn: Deno.Conn, answers: readonly Uint8Array[]): Promise<void> {
    let heard: Uint8Array = NOTHING;
    const chunk = new Uint8Array(4096);
    try {
      await conn.write(encodeGreeting());
      const asked = CLIENT_FLAGS_BYTES + encodeOption(OPTION.startTls, NOTHING).length;
      let told = false;
      for (let read; (read = await conn.read(chunk)) !== null;) {
        heard = concat(heard, chunk.subarray(0, read));
        if (told || heard.length < asked) continue;
        told = true;
        this.options.push(heard.slice(CLIENT_FLAGS_BYTES, asked));
        for (const answer of answers) await conn.write(answer);
      }
      this.heard.push(heard.slice(asked));
    } catch (error) {
      // It was reset by the host: there was something that it did not want to read.
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      this.heard.push(NOTHING);
    } finally {
      conn.close();
    }
  }
}

const CASES = [
  {
    name: "sends plaintext along with the acknowledgement of STARTTLS",
    answers: [concat(ACK, STRUCTURED)],
    reason: /sent more than it was asked for/,
    records: false,
  },
  {
    name: "acknowledges STARTTLS and goes on in the clear",
    answers: [ACK, STRUCTURED],
    reason: /TLS failed|sent more than/,
    records: true,
  },
  {
    name: "has no TLS",
    answers: [POLICY],
    reason: /this host requires/,
    records: false,
  },
];

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  for (const { name, answers, reason, records } of CASES) {
    test(`a leg that requires TLS says no option to a unit that ${name} (${kind})`, async () => {
      const bench = new TlsLegBench(kind);
      const unit = new PlainUnit(answers);
      const leg = bench.leg(unit.address);
      // The second try shows that the first has ended, and that the host goes on trying.
      await bench.until(() => unit.heard.length >= 2, "two tries");
      for (const asked of unit.options) {
        assert.deepEqual(asked, encodeOption(OPTION.startTls, NOTHING), "STARTTLS comes first");
      }
      for (const heard of unit.heard) {
        // A TLS record of the handshake, or nothing: never an option.
        if (heard.length > 0) assert.ok(records && [0x15, 0x16].includes(heard[0]!), `${heard}`);
      }
      await bench.until(() => reason.test(leg.status().reason ?? ""), "the reason");
      assert.equal(leg.isReady, false);
      await bench.end(leg);
      await unit.close();
    });
  }
}
