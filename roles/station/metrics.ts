import type { MetricsText, Sample } from "../../protocol/metrics/text.ts";
import { NODE_STATES } from "../../web/station_api.ts";
import type { Running } from "./service.ts";
import * as views from "./views.ts";

/** The pool as metrics. What single volumes and disks do, units and hosts tell by themselves. */
export function writeStation(text: MetricsText, { pool, tasks }: Running): void {
  const view = views.poolView(pool, tasks);
  const one = (value: number): readonly Sample[] => [[{}, value]];
  text.gauge("dvsan_station_epoch", "Rises with every start of the station.", one(view.epoch));
  text.gauge(
    "dvsan_station_normal",
    "1 in normal state; 0: nothing is fenced or deleted before an operator has confirmed.",
    one(view.state === "normal" ? 1 : 0),
  );
  text.gauge("dvsan_pool_size_bytes", "Size of all media.", one(view.sizeBytes));
  text.gauge("dvsan_pool_allocated_bytes", "Of that, taken by volumes.", one(view.allocatedBytes));
  text.gauge("dvsan_pool_free_bytes", "Free for volumes, zeroed or not.", one(view.freeBytes));
  text.gauge("dvsan_pool_ready_bytes", "Free and zeroed.", one(view.readyBytes));
  text.gauge("dvsan_pool_nodes", "Nodes by role and state.", nodeSamples(pool));
  text.gauge("dvsan_pool_disks", "Disks that are wanted.", one(view.disks));
  const volumes = views.volumeViews(pool);
  text.gauge("dvsan_pool_volumes", "Volumes, wanted or held.", one(volumes.length));
  text.gauge(
    "dvsan_pool_volumes_differing",
    "The reconciler's debt: volumes whose unit does not hold what the station wants.",
    one(volumes.filter(({ difference }) => difference !== null).length),
  );
  const { catalog } = pool;
  const states = new Map<string, number>(TASK_STATES.map((state) => [state, 0]));
  for (const { state } of catalog.tasks.values()) states.set(state, (states.get(state) ?? 0) + 1);
  text.gauge(
    "dvsan_pool_tasks",
    "Tasks by state, of those that are kept.",
    [...states].map(([state, count]) => [{ state }, count]),
  );
  text.gauge("dvsan_catalog_records", "Records of the catalog by table.", [
    [{ table: "nodes" }, catalog.nodes.size],
    [{ table: "disks" }, catalog.disks.size],
    [{ table: "volumes" }, catalog.volumes.size],
    [{ table: "grants" }, catalog.grants.size],
    [{ table: "tombstones" }, catalog.tombstones.size],
    [{ table: "tasks" }, catalog.tasks.size],
  ]);
  text.gauge("dvsan_event_number", "Number of the last event.", one(pool.events.last));
}

const TASK_STATES = ["queued", "running", "done", "failed", "cancelled"];

function nodeSamples(pool: Running["pool"]): Sample[] {
  return (["unit", "host"] as const).flatMap((role) => {
    const counts = new Map<string, number>(NODE_STATES.map((state) => [state, 0]));
    for (const row of views.nodesOf(pool, role)) {
      const state = pool.nodes.presence(row.id)?.state ?? "silent";
      counts.set(state, (counts.get(state) ?? 0) + 1);
    }
    return [...counts].map(([state, count]): Sample => [{ role, state }, count]);
  });
}
