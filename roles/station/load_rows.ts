import type { MeterKind } from "../../protocol/config/meters.ts";
import type { LoadKind, LoadRow, LoadView } from "../../web/load_views.ts";
import type { Pool } from "./pool.ts";
import type { NodeRow } from "./catalog/rows.ts";
import type { Tasks } from "./tasks/tasks.ts";
import * as views from "./views.ts";

/** Everything of a kind with what its node's heartbeats said of its load. */
export function loadRows(pool: Pool, tasks: Tasks, kind: LoadKind): LoadRow[] {
  const loads = new Map<string, ReadonlyMap<string, LoadView>>();
  const nowMs = pool.world.clock.nowMs();
  const row = (
    of: Omit<LoadRow, "load">,
    meter: { readonly kind: MeterKind | "node"; readonly id: string },
  ): LoadRow => {
    const known = loads.get(of.nodeId) ??
      pool.nodes.presence(of.nodeId)?.load.look(meter.kind, nowMs) ??
      new Map<string, LoadView>();
    loads.set(of.nodeId, known);
    return { ...of, load: known.get(meter.id) ?? null };
  };
  switch (kind) {
    case "connections":
      return connectionRows(pool, tasks, nowMs);
    case "units":
    case "hosts":
      return views.nodesOf(pool, kind === "units" ? "unit" : "host").map(({ id, name }) =>
        row({ id, name, nodeId: id, node: name }, { kind: "node", id: "" })
      );
    case "volumes":
      return views.volumeViews(pool).map(({ id, unitId, unit, disk, leg }) =>
        row({ id, name: legName(disk, leg), nodeId: unitId, node: unit }, { kind: "volume", id })
      );
    case "media":
      return views.nodesOf(pool, "unit").flatMap((unit) =>
        views.unitView(pool, unit).media.map(({ id, path }) =>
          row({ id, name: path, nodeId: unit.id, node: unit.name }, { kind: "medium", id })
        )
      );
    case "disks":
      return disksOf(pool, tasks).map(({ id, name, hostId, host }) =>
        row({ id, name, nodeId: hostId, node: host }, { kind: "disk", id })
      );
    case "legs":
      return disksOf(pool, tasks).flatMap(({ id: diskId, name, hostId, host, legs }) =>
        legs.map(({ leg }) => {
          const id = `${diskId}/${leg}`;
          const of = { id, name: legName(name, leg), nodeId: hostId, node: host };
          return row(of, { kind: "leg", id });
        })
      );
  }
}

/** The busiest connections of each node, as its last heartbeat told. */
function connectionRows(pool: Pool, tasks: Tasks, nowMs: number): LoadRow[] {
  const owners = new Map<string, string>();
  for (const { id, disk, leg } of views.volumeViews(pool)) owners.set(id, legName(disk, leg));
  for (const { id, name } of disksOf(pool, tasks)) owners.set(id, name);
  const ofNode = ({ id: nodeId, name: node }: NodeRow): LoadRow[] => {
    const loads = pool.nodes.presence(nodeId)?.load.look("connection", nowMs);
    return [...loads ?? []].map(([id, load]) => {
      const [owner = "", , peer = ""] = id.split("/");
      return { id, name: `${owners.get(owner) ?? ""} ${peer}`.trim(), nodeId, node, load };
    });
  };
  return (["unit", "host"] as const).flatMap((role) => views.nodesOf(pool, role).flatMap(ofNode));
}

function disksOf(pool: Pool, tasks: Tasks) {
  return views.livingDisks(pool).map((disk) => views.diskView(pool, disk, tasks));
}

function legName(disk: string | null, leg: number | null): string {
  return disk === null ? "" : `${disk}/${leg ?? 0}`;
}
