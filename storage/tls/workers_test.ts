import assert from "node:assert/strict";
import { nodeUri } from "../../protocol/certificates/node_uri.ts";
import { createLog } from "../../protocol/core/log.ts";
import { credentialsOf, Descriptors, Talker, UNIT_ID } from "./testing.ts";
import { TlsWorkers } from "./workers.ts";

const UNIT_URI = nodeUri("unit", UNIT_ID);
const log = createLog(() => {});

/** Fails at its first job, as after an error of ours. */
const BROKEN = `onmessage = ({ data }) => {
  if ("job" in data) throw new Error("out of order");
};`;

/** Tells by lines of the log what it is told. */
const RECORDER = `const worker = crypto.randomUUID();
onmessage = ({ data: { credentials, job, ended, stop } }) => {
  const said = credentials?.certificate ?? (job && "job " + job.id) ?? (ended && "ended " + ended);
  const message = JSON.stringify({ worker, said });
  postMessage(stop ? { stopped: true } : { log: { level: "info", message, fields: {} } });
};`;

function open(mainUrl: string, count: number) {
  const failures: unknown[] = [];
  const onFatal = (error: unknown) => void failures.push(error);
  return { workers: new TlsWorkers({ mainUrl, log, onFatal, count }), failures };
}

Deno.test("TlsWorkers spread connections over as many workers as there may be", async () => {
  using descriptors = new Descriptors();
  const mainUrl = new URL("./testing_main.ts", import.meta.url).href;
  const [units, hosts] = [open(mainUrl, 2), open(mainUrl, 2)];
  units.workers.use(credentialsOf("unit"));
  hosts.workers.use(credentialsOf("host"));
  const ends: Talker[] = [];
  for (let id = 1; id <= 3; id++) {
    const [clientSocket, serverSocket] = descriptors.pair();
    const [clientPlain, clientEnd] = descriptors.pair();
    const [serverPlain, serverEnd] = descriptors.pair();
    units.workers.order({ job: { id, side: "server", socket: serverSocket, plain: serverPlain } });
    const job = { id, uri: UNIT_URI, socket: clientSocket, plain: clientPlain };
    hosts.workers.order({ job: { ...job, side: "client" } });
    const [client, server] = [new Talker(clientEnd), new Talker(serverEnd)];
    ends.push(client, server);
    await client.until(() => client.bytes.length === 1);
    // The server's side says nothing before its client has, as in NBD.
    client.socket.write(`client ${id}`);
    await server.until(() => server.text === `client ${id}`);
    server.socket.write(`server ${id}`);
    await client.until(() => client.text === `\0server ${id}`);
  }
  assert.deepEqual([units.workers.figures.workers, hosts.workers.figures.workers], [2, 2]);
  assert.equal(units.workers.figures.connections, 3);
  assert.deepEqual(units.workers.figures.succeeded, { server: 3, client: 0 });
  assert.deepEqual(hosts.workers.figures.succeeded, { server: 0, client: 3 });
  // The data workers end, and say so.
  await Promise.all(ends.map((end) => end.close()));
  for (let id = 1; id <= 3; id++) {
    units.workers.order({ ended: id });
    hosts.workers.order({ ended: id });
  }
  await Promise.all([units.workers.stop(), hosts.workers.stop()]);
  assert.equal(units.workers.figures.connections, 0);
  assert.deepEqual([units.failures, hosts.failures], [[], []]);
});

Deno.test("TlsWorkers tell each worker its own, and all of them of a new certificate", async () => {
  const heard: { readonly worker: string; readonly said: string }[] = [];
  const recording = createLog(({ message }) => void heard.push(JSON.parse(message)));
  const mainUrl = `data:text/javascript,${encodeURIComponent(RECORDER)}`;
  const onFatal = (error: unknown) => assert.fail(String(error));
  const workers = new TlsWorkers({ mainUrl, log: recording, onFatal, count: 2 });
  const hears = async (said: string, by: number): Promise<string[]> => {
    const found = () => heard.filter((each) => each.said === said).map(({ worker }) => worker);
    while (found().length < by) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(found().length, by, said);
    return found();
  };
  const order = (id: number) =>
    workers.order({ job: { id, side: "server", socket: -1, plain: -1 } });
  workers.use({ ...credentialsOf("unit"), certificate: "old" });
  order(1);
  order(2);
  const [first, second] = [await hears("job 1", 1), await hears("job 2", 1)];
  assert.notDeepEqual(first, second);
  await hears("old", 2);
  workers.use({ ...credentialsOf("unit"), certificate: "new" });
  assert.equal(new Set(await hears("new", 2)).size, 2);
  for (let i = 0; i < 2; i++) workers.order({ ended: 2 });
  assert.deepEqual(await hears("ended 2", 1), second);
  order(3);
  assert.deepEqual(await hears("job 3", 1), second, "it has none any more");
  await hears("ended 2", 1);
  await workers.stop();
});

Deno.test("a TLS worker that fails is told once, in words, which ends the process", async () => {
  using descriptors = new Descriptors();
  const mainUrl = `data:text/javascript,${encodeURIComponent(BROKEN)}`;
  const failed = Promise.withResolvers<unknown>();
  let failures = 0;
  const onFatal = (error: unknown) => {
    failures++;
    failed.resolve(error);
  };
  const workers = new TlsWorkers({ mainUrl, log, onFatal, count: 1 });
  const [socket, peer] = descriptors.pair();
  const [plain, end] = descriptors.pair();
  workers.order({ job: { id: 1, side: "server", socket, plain } });
  assert.match(String(await failed.promise), /TLS worker failed.*out of order/);
  workers.order({ ended: 1 });
  await workers.stop();
  assert.equal(failures, 1);
  // Whose process this is ends: here the descriptors that nobody took are closed by hand.
  const talkers = [socket, peer, plain, end].map((fd) => new Talker(fd));
  await Promise.all(talkers.map((talker) => talker.close()));
});
