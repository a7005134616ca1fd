import type { Handlers } from "../../protocol/config/link.ts";
import type { Log } from "../../protocol/core/log.ts";
import { ADDRESSES_PER_NODE_MAX } from "../../protocol/core/limits.ts";
import type { DataWorker } from "../../storage/worker/client.ts";
import type { Notice } from "../../storage/worker/messages.ts";
import { serveMetrics } from "../agent/metrics.ts";
import { nodeHeartbeats } from "../agent/node_heartbeats.ts";
import { connectNode, openControl, openNode } from "../agent/node.ts";
import { certifyNode, startTls } from "../agent/tls.ts";
import type { ProcessContext, StateFiles } from "../process/context.ts";
import { formatEndpoint } from "../process/endpoints.ts";
import type { PooledUnitSettings, UnitSettings } from "../process/settings.ts";
import { drainAtShutdown } from "../agent/data_worker.ts";
import { KnownMedia } from "./known_media.ts";
import { runStandAlone } from "./stand_alone.ts";
import { UsedWipes } from "./used_wipes.ts";

interface UnitContext {
  readonly process: ProcessContext;
  /** On its way up. */
  readonly worker: DataWorker;
}

/** `dvsan unit`: owns media, serves volumes, and tells the station about them. */
export async function runUnit(settings: UnitSettings, context: UnitContext): Promise<void> {
  if (settings.kind === "stand-alone") await runStandAlone(settings, context);
  else await runPooled(settings, context);
}

async function runPooled(settings: PooledUnitSettings, context: UnitContext): Promise<void> {
  const { process, worker } = context;
  const { log } = process;
  const node = openNode("unit", { settings, process });
  const { identity } = node;
  const media = knownMedia(node.files, process);
  const wipes = new UsedWipes(node.files, { devices: settings.devices, log });
  const datagrams = await openControl(settings, process);
  const tls = await startTls(settings.tls, context);
  drainAtShutdown(worker, process);
  const certificate = certifyNode(tls, node, process);
  let revision = 0;
  let changed = () => {};
  // From the start on: opening the media writes their labels, and an older label must be known by
  // that also when nothing else changes.
  worker.onNotice((notice) => {
    keepTold(notice, { worker, media });
    if (notice.notice !== "storage-changed") return;
    revision = notice.revision;
    changed();
  });
  const opened = await worker.call("unitStart", {
    identity: { id: identity.id, name: settings.name, ...identity.keyPair },
    clusterId: identity.clusterId,
    media: settings.devices.map((device) => ({ path: device.path, wipe: wipes.of(device) })),
    wipeMedia: settings.wipeMedia ?? [],
    ...media.known(),
  });
  wipes.taken(opened.media.filter(({ state }) => state === "ok").map(({ path }) => path));
  const local = await worker.call("listen", settings.nbd);

  // Only now can it accept data connections, so only now does it announce itself.
  const dataAddresses = () => dataAddressesOf(settings, { process, port: local.port });
  const link = connectNode(node, {
    process,
    datagrams,
    dataAddresses,
    handlers: answers(worker, { media, log }),
  });
  certificate.ask(link);
  revision = Math.max(revision, opened.revision);
  const said = async () => {
    await worker.call("checkMedia", null);
    return { digest: String(revision), dataAddresses: dataAddresses() };
  };
  const heartbeats = nodeHeartbeats(worker, { node, link, process, said });
  changed = () => heartbeats.beatNow();
  heartbeats.beatNow();
  const source = { role: "unit", name: settings.name, worker, tls, link } as const;
  process.ready({
    ready: "unit",
    id: identity.id,
    name: settings.name,
    nbd: formatEndpoint(local),
    control: formatEndpoint(datagrams.local),
    ...serveMetrics(source, { settings, process, files: node.files }),
  });
  await process.stopped;
}

function knownMedia(files: StateFiles, process: ProcessContext): KnownMedia {
  const { clock, log } = process;
  const media = new KnownMedia({ files, clock, log });
  process.onShutdown("what is known of media", () => media.stop());
  return media;
}

/** What the worker tells that is to be known at the next start. */
function keepTold(
  notice: Notice,
  { worker, media }: { readonly worker: DataWorker; readonly media: KnownMedia },
): void {
  if (notice.notice === "direct-marks") media.keepDirect(notice.marks);
  if (notice.notice === "storage-changed") media.keep(notice);
  if (notice.notice === "let-in") {
    media.keepLetIn(notice.runs);
    worker.call("letInKept", { number: notice.number }).catch(() => {});
  }
  if (notice.notice !== "numbers-given") return;
  const { below } = notice;
  // A worker that has ended waits for no answer.
  worker.call("numbersKept", { below, problem: media.keepNumbers(below) }).catch(() => {});
}

/** What the station may ask of a unit; the data worker, which owns the media, answers. */
function answers(
  worker: DataWorker,
  { media, log }: { readonly media: KnownMedia; readonly log: Log },
): Handlers<null> {
  return {
    NEED_STORAGE_INFO: () => worker.call("storageInfo", null),
    VOLUME_CREATE: async (body) => ({ volume: await worker.call("volumeCreate", body) }),
    VOLUME_RESIZE: async (body) => ({ volume: await worker.call("volumeResize", body) }),
    VOLUME_DELETE: async (body) => {
      await worker.call("volumeDelete", body);
      return { volume: null };
    },
    ACCESS_GRANT: async (body) => ({ volume: await worker.call("accessGrant", body) }),
    ACCESS_REVOKE: async (body) => ({ volume: await worker.call("accessRevoke", body) }),
    MEDIUM_CHANGE: async (body) => {
      const { mediumId, action } = body;
      log.warn("an operator decided about a medium", { medium: mediumId, action });
      const medium = await worker.call("mediumChange", body);
      if (action === "forget") media.gaveUp(mediumId);
      if (action === "adopt") media.adopted(mediumId);
      return { medium };
    },
  };
}

/** Where hosts reach the NBD port: as advertised, as bound, or at every interface. */
function dataAddressesOf(
  settings: PooledUnitSettings,
  { process, port }: { process: ProcessContext; port: number },
): string[] {
  const bound = settings.nbd.address;
  const addresses = settings.advertise.length > 0
    ? settings.advertise
    : bound === "0.0.0.0" || bound === "::"
    ? reachable(process.machine.addresses(), bound === "::")
    : [bound];
  return addresses.slice(0, ADDRESSES_PER_NODE_MAX)
    .map((address) => formatEndpoint({ address, port }));
}

/** Loopback only where there is nothing else; link-local IPv6 needs a zone and is left out. */
function reachable(addresses: readonly string[], ipv6: boolean): readonly string[] {
  const usable = addresses.filter((address) =>
    !address.toLowerCase().startsWith("fe80:") && (ipv6 || !address.includes(":"))
  );
  const outside = usable.filter((address) => !address.startsWith("127.") && address !== "::1");
  return outside.length > 0 ? outside : usable;
}
