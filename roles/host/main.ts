import { serveMetrics } from "../agent/metrics.ts";
import type { DataWorker } from "../../storage/worker/client.ts";
import { drainAtShutdown } from "../agent/data_worker.ts";
import { nodeHeartbeats } from "../agent/node_heartbeats.ts";
import { connectNode, openControl, openNode } from "../agent/node.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { certifyNode, startTls } from "../agent/tls.ts";
import type { ProcessContext, StateFiles } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import type { HostSettings } from "../process/settings.ts";
import { DiskBook } from "./disk_book.ts";
import { DiskService } from "./disk_service.ts";
import { Host } from "./host.ts";
import { OwnAddresses } from "./own_addresses.ts";
import { answerLocalCalls, invalidSocketPath, LOCAL_SOCKET } from "./local_call.ts";

interface HostContext {
  readonly process: ProcessContext;
  /** On its way up. */
  readonly worker: DataWorker;
}

/** `dvsan host`: keeps this machine's disks attached, with or without the station. */
export async function runHost(settings: HostSettings, context: HostContext): Promise<void> {
  const { process, worker } = context;
  const { clock, random, log } = process;
  const node = openNode("host", { settings, process });
  const { files, identity } = node;
  const localSocket = socketPathIn(files, LOCAL_SOCKET);
  const book = DiskBook.load(files, { random, bootId: process.machine.bootId });
  const sockets = process.openStateFiles(files.path("disks"));
  const removeSocket = (disk: string) => sockets.remove(`${disk}.sock`);
  process.onShutdown("disk sockets", () => {
    for (const { name } of book.list()) removeSocket(name);
    sockets.close();
  });
  const datagrams = await openControl(settings, process);
  const tls = await startTls(settings.tls, context);
  drainAtShutdown(worker, process);
  const certificate = certifyNode(tls, node, process);
  await worker.call("hostStart", {
    identity: { id: identity.id, name: settings.name, ...identity.keyPair },
    ioTimeoutMs: settings.ioTimeoutMs,
  });
  const host = new Host({
    worker,
    book,
    log,
    socketPath: (disk) => socketPathIn(sockets, `${disk}.sock`),
    removeSocket,
    onChange: () => heartbeats.beatNow(),
  });
  worker.onNotice((notice) => {
    if (notice.notice === "disk-changed") host.noticed(notice.status);
    if (notice.notice === "disk-marked") host.marked(notice);
    if (notice.notice === "disk-settled") host.detached(notice.diskId);
    if (notice.notice === "disk-outrun") host.outrun(notice.diskId, notice.attachment);
  });
  const link = connectNode(node, {
    process,
    datagrams,
    dataAddresses: () => [],
    handlers: host.handlers(),
  });
  certificate.ask(link);
  const said = saying(host, new OwnAddresses(process.machine, worker));
  const answered = (digest: string) => host.wanted(digest);
  const heartbeats = nodeHeartbeats(worker, { node, link, process, said, answered });
  await host.start();
  heartbeats.beatNow();
  const service = new DiskService({ host, book, link, clock, random });
  await process.serveHttp({ socketPath: localSocket }, answerLocalCalls(service.answer));
  const source = { role: "host", name: settings.name, worker, tls, link } as const;
  process.ready({
    ready: "host",
    id: identity.id,
    name: settings.name,
    control: formatEndpoint(datagrams.local),
    ...serveMetrics(source, { settings, process, files: node.files }),
  });
  await process.stopped;
}

/** A socket in the state directory; DvsanError "usage" when its path is too long for one. */
function socketPathIn(files: StateFiles, name: string): string {
  const path = files.path(name);
  const invalid = invalidSocketPath(path);
  if (invalid !== null) throw new DvsanError("usage", invalid);
  return path;
}

/** For heartbeats, which are also when the host looks after what may have changed by itself. */
function saying(host: Host, own: OwnAddresses) {
  return () => {
    own.look();
    host.tryAgain();
    return { ...host.said(), dataAddresses: [] };
  };
}
