import type { Handlers, KnownNode, StationLinkEvents } from "../../protocol/config/link.ts";
import type { AnswerBody } from "../../protocol/config/requests.ts";
import {
  type Authority,
  authorityCertificate,
  issueCertificate,
} from "../../protocol/certificates/certificate.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import type { DiskRow, NodeRow, TaskRow } from "./catalog/rows.ts";
import type { Running } from "./service.ts";
import { errorOf, viewOf } from "./tasks/task.ts";

export interface HandlersOptions {
  /** Throws DvsanError "unavailable" before the start. */
  readonly running: () => Running;
  /** Signs the nodes' certificates. */
  readonly authority: Authority;
  /** URIs of a finished disk.access task, while this run of the station lasts. */
  readonly urisOf: (taskId: string) => readonly string[] | null;
}

/** What nodes may ask of the station. A host sees and touches its own disks and tasks only. */
export function linkEvents(options: HandlersOptions): StationLinkEvents {
  const { running } = options;
  const nodesIfRunning = () => {
    try {
      return running().pool.nodes;
    } catch {
      return null;
    }
  };
  return {
    admit: (node) => {
      const nodes = nodesIfRunning();
      return nodes === null ? "the station is starting" : nodes.admit(node);
    },
    connected: (node, joinProved) => nodesIfRunning()?.connected(node, joinProved),
    heard: (nodeId) => nodesIfRunning()?.heard(nodeId),
    handlers: {
      ...presenceHandlers(running),
      ...certificateHandlers(options),
      ...diskHandlers(options),
    },
  };
}

function presenceHandlers(running: () => Running): Handlers<KnownNode> {
  const goodbye = (from: KnownNode, role: "unit" | "host") => {
    const row = member(running(), from);
    if (row.role !== role) throw new DvsanError("denied", `Only a ${role} can say that.`);
    return row;
  };
  return {
    HEARTBEAT: async (body, from) => {
      const { pool } = running();
      pool.nodes.heartbeat(from.id, body);
      const row = pool.nodes.row(from.id);
      if (row === null || row.admission !== "admitted") {
        return { digest: body.digest, epoch: pool.epoch.value };
      }
      const catalog = await pool.heardMarks.told(row, body.catalog);
      const digest = row.role === "unit"
        ? String(pool.observed.fresh(row.id)?.revision ?? "")
        : pool.delivery.digest(row.id);
      if (row.role === "host") {
        const disks = digest === body.digest ? null : body.disks;
        if (disks !== undefined) pool.strays.heard(row.id, disks);
        if (disks === null) pool.newerMaps.agreed(row.id);
        pool.newerMaps.learn(row.id, disks ?? []).catch((error) =>
          pool.world.log.error(`Cannot keep what a host holds: ${messageOf(error)}`)
        );
      }
      if (digest !== body.digest) {
        void (row.role === "unit" ? pool.observed.pull(row.id) : pool.delivery.resend(row.id));
      }
      const nowMs = pool.world.clock.nowMs();
      const watched = pool.nodes.presence(row.id)?.load.isWatched(nowMs) ?? false;
      return {
        digest,
        epoch: pool.epoch.value,
        ...(watched ? { watched } : {}),
        ...(catalog === undefined ? {} : { catalog }),
      };
    },
    UNIT_SHUTDOWN: (body, from) => {
      running().pool.nodes.goodbye(goodbye(from, "unit").id, body);
      return Promise.resolve({});
    },
    HOST_SHUTDOWN: (body, from) => {
      running().pool.nodes.goodbye(goodbye(from, "host").id, body);
      return Promise.resolve({});
    },
  };
}

function certificateHandlers({ running, authority }: HandlersOptions): Handlers<KnownNode> {
  return {
    // The same key gets the same certificate: nothing is kept of it, and nothing to take back.
    CERTIFICATE_REQUEST: ({ publicKey }, from) => {
      const { role, id, name } = member(running(), from);
      return Promise.resolve({
        certificate: issueCertificate(authority, { role, id, name, publicKey }),
        authority: authorityCertificate(authority),
      });
    },
  };
}

function diskHandlers({ running, urisOf }: HandlersOptions): Handlers<KnownNode> {
  const answer = (row: TaskRow): AnswerBody<"TASK_QUERY"> => {
    const error = errorOf(row);
    const uris = row.state === "done" ? urisOf(row.id) : null;
    const view = viewOf(row);
    const title = view.title.slice(0, 256);
    return {
      task: error === null ? { ...view, title } : { ...view, title, error },
      ...(uris === null ? {} : { uris: [...uris] }),
    };
  };
  return {
    STORAGE_REQUEST: async (body, from) => {
      const host = hostOf(running(), from);
      const { diskId, name, sizeBytes } = body;
      const order = { host, diskId, name, sizeBytes, owner: host.name };
      return answer(await running().orders.create(order));
    },
    DISK_GROW: async ({ diskId, sizeBytes }, from) => {
      const { host, disk } = ownDisk(running(), from, diskId);
      return answer(await running().orders.grow(disk, { sizeBytes, owner: host.name }));
    },
    DISK_RELEASE: async ({ diskId }, from) => {
      const host = hostOf(running(), from);
      const released = running().tasks.newest((row) =>
        row.kind === "disk.release" && row.hostId === host.id && row.paramsJson.includes(diskId)
      );
      const disk = running().pool.catalog.disks.get(diskId);
      const over = disk === undefined || disk.state === "released";
      if (released !== null && over) return answer(released);
      return answer(
        await running().orders.release(ownDisk(running(), from, diskId).disk, host.name),
      );
    },
    DISK_ACCESS: async ({ diskId, direct }, from) => {
      const { host, disk } = ownDisk(running(), from, diskId);
      return answer(await running().orders.access(disk, { direct, owner: host.name }));
    },
    TASK_QUERY: ({ taskId }, from) => {
      const host = hostOf(running(), from);
      const row = running().tasks.row(taskId);
      if (row === null || row.hostId !== host.id) {
        throw new DvsanError("not-found", `Host "${host.name}" has no task "${taskId}".`);
      }
      return Promise.resolve(answer(row));
    },
  };
}

function member({ pool }: Running, from: KnownNode): NodeRow {
  const row = pool.nodes.row(from.id);
  if (row === null || row.admission === "revoked") {
    throw new DvsanError("denied", "This node does not belong to the pool.");
  }
  if (row.admission === "pending") {
    throw new DvsanError("denied", `"${row.name}" waits for an administrator's approval.`);
  }
  return row;
}

function hostOf(running: Running, from: KnownNode): NodeRow {
  const row = member(running, from);
  if (row.role !== "host") throw new DvsanError("denied", "Only a host can ask for storage.");
  return row;
}

/** Another's disk and no disk at all are answered alike. */
function ownDisk(
  running: Running,
  from: KnownNode,
  diskId: string,
): { host: NodeRow; disk: DiskRow } {
  const host = hostOf(running, from);
  const disk = running.pool.catalog.disks.get(diskId);
  if (disk === undefined || disk.hostId !== host.id || disk.state === "released") {
    throw new DvsanError("not-found", `Host "${host.name}" has no disk ${diskId}.`);
  }
  return { host, disk };
}
