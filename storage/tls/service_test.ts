import assert from "node:assert/strict";
import { createLog } from "../../protocol/core/log.ts";
import { newTlsCounters, TlsCounters, tlsFigures } from "./counters.ts";
import type { TlsJob } from "./messages.ts";
import { TlsService } from "./service.ts";
import { credentialsOf, Descriptors, Talker } from "./testing.ts";
import { decodeVerdict } from "./verdict.ts";

/** A service, and jobs for it whose other ends are held by the test. */
class World implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #descriptors = new Descriptors();
  readonly #talkers: Talker[] = [];
  readonly service: TlsService;
  readonly #counted = newTlsCounters();
  #lastId = 0;

  constructor(connectionsMax: number) {
    const log = createLog(({ message, fields }) =>
      void this.lines.push(`${message}: ${fields.reason}`)
    );
    const counters = new TlsCounters(this.#counted);
    this.service = new TlsService({ log, connectionsMax, counters });
  }

  get figures() {
    return tlsFigures([this.#counted]);
  }

  job(as: { side: "server" } | { side: "client"; uri: string }) {
    const [socket, peer] = this.#descriptors.pair();
    const [plain, ours] = this.#descriptors.pair();
    const talkers = { peer: new Talker(peer), worker: new Talker(ours) };
    this.#talkers.push(talkers.peer, talkers.worker);
    const job: TlsJob = { id: ++this.#lastId, socket, plain, ...as };
    this.service.take(job);
    return { ...talkers, id: job.id };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#talkers.map((talker) => talker.close()));
    await this.service.stop();
    this.#descriptors[Symbol.dispose]();
  }
}

Deno.test("TlsService refuses jobs until it has credentials, and tells legs why", async () => {
  await using world = new World(4);
  const server = world.job({ side: "server" });
  await Promise.all([server.peer.end(), server.worker.end()]);
  assert.equal(server.worker.bytes.length, 0);
  const client = world.job({ side: "client", uri: "urn:dvsan:unit:x" });
  await client.worker.end();
  const verdict = decodeVerdict(client.worker.bytes);
  assert.ok(verdict.kind === "failed" && /no certificate yet/.test(verdict.reason));
  assert.equal(world.lines.length, 1, "a leg tells its own failures");
  const { failed, connections } = world.figures;
  assert.deepEqual([failed.server.no_credentials, failed.client.no_credentials], [1, 1]);
  assert.equal(connections, 0);
});

Deno.test("TlsService keeps to its limit, and takes more when some have ended", async () => {
  await using world = new World(2);
  world.service.use(credentialsOf("unit"));
  const first = world.job({ side: "server" });
  world.job({ side: "server" });
  const third = world.job({ side: "server" });
  await Promise.all([third.peer.end(), third.worker.end()]);
  assert.equal(world.service.connections, 2);
  world.service.ended(first.id);
  await Promise.all([first.peer.end(), first.worker.end()]);
  await first.worker.close();
  while (world.service.connections > 1) await new Promise((resolve) => setTimeout(resolve, 1));
  world.job({ side: "server" });
  assert.equal(world.service.connections, 2);
  const { server } = world.figures.failed;
  assert.deepEqual([world.figures.connections, server.too_many, server.given_up], [2, 1, 1]);
});

Deno.test("TlsService tells the first of many failures, and counts the others", async () => {
  await using world = new World(8);
  world.service.use(credentialsOf("unit"));
  for (let i = 0; i < 5; i++) {
    const { peer, worker } = world.job({ side: "server" });
    peer.socket.end("no TLS at all");
    await Promise.all([peer.end(), worker.end()]);
  }
  assert.equal(world.lines.length, 1);
  const { server } = world.figures.failed;
  assert.equal(server.protocol + server.peer_left, 5);
});
