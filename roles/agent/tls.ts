import type { AgentLink } from "../../protocol/config/link.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { TLS_WORKERS_MAX } from "../../protocol/core/limits.ts";
import type { TlsFigures } from "../../storage/tls/counters.ts";
import type { TlsCredentials } from "../../storage/tls/messages.ts";
import { TlsWorkers } from "../../storage/tls/workers.ts";
import type { DataWorker } from "../../storage/worker/client.ts";
import type { ProcessContext } from "../process/context.ts";
import type { TlsSettings } from "../process/settings.ts";
import type { OpenNode } from "./node.ts";
import { NodeCertificate } from "./tls_certificate.ts";
import { credentialsOfFiles } from "./tls_files.ts";

interface Running {
  readonly process: ProcessContext;
  readonly worker: DataWorker;
}

/** The TLS workers of a process, beside its data worker. */
export interface ProcessTls {
  /** What they have counted since the process started. */
  readonly figures: TlsFigures;
  /** For connections from now on. */
  use(credentials: TlsCredentials): void;
}

/**
 * Starts TLS workers, if the settings want one. To be called before `drainAtShutdown`, so that
 * they end after the data worker, and before anybody is let in.
 */
export async function startTls(
  settings: TlsSettings,
  { process, worker }: Running,
): Promise<ProcessTls | null> {
  const { policy } = settings;
  if (policy === "off") return null;
  const credentials = credentialsOfFiles(settings, process);
  const tls = new TlsWorkers({
    count: Math.min(TLS_WORKERS_MAX, process.machine.processors),
    mainUrl: process.mainUrl,
    log: process.log,
    onFatal: (error) => process.fail(error),
  });
  process.onShutdown("TLS workers", () => tls.stop());
  worker.onNotice((notice) => {
    if (notice.notice === "tls") tls.order(notice.order);
  });
  await worker.call("useTls", { policy });
  if (credentials !== null) tls.use(credentials);
  return tls;
}

/**
 * A member's certificate of its cluster, unless the user named files: what is kept is used at once,
 * and `ask` sees to it once there is a link.
 */
export function certifyNode(
  tls: ProcessTls | null,
  node: OpenNode,
  process: ProcessContext,
): { ask(link: AgentLink): void } {
  const { role, identity, files, settings } = node;
  if (tls === null || settings.tls.certificate !== null) return { ask: () => {} };
  const certificate = new NodeCertificate({
    files,
    random: process.random,
    clock: process.clock,
    log: process.log,
    role,
    id: identity.id,
    clusterId: identity.clusterId,
    use: (credentials) => {
      tls.use(credentials);
      if (role === "host") writeClientFiles(credentials, node, process);
    },
  });
  process.onShutdown("TLS certificate", () => certificate.stop());
  return { ask: (link) => certificate.ask(link) };
}

/** For consumers of this host that go to units by themselves: the file names that they know. */
function writeClientFiles(
  { certificate, key, authorities }: TlsCredentials,
  { files }: OpenNode,
  process: ProcessContext,
): void {
  const folder = process.openStateFiles(files.path("tls"));
  folder.write("ca-cert.pem", utf8(authorities.join("")));
  folder.write("client-cert.pem", utf8(certificate ?? ""));
  folder.write("client-key.pem", utf8(key ?? ""));
  folder.close();
}
