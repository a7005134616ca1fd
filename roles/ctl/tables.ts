import { formatDuration, formatSize } from "../process/sizes.ts";
import { formatTable } from "../process/tables.ts";
import type {
  AllocationView,
  DiskView,
  EventRecord,
  HostView,
  PoolView,
  TaskRecord,
  UnitView,
  VolumeView,
} from "../../web/station_api.ts";
import { errorsText } from "./errors_text.ts";

/** What `dvsan ctl` prints without --json: the station's views as tables. */

export function poolText(pool: PoolView): string {
  const rows = [
    ["state", pool.state],
    ["units", `${pool.unitsOnline} online of ${pool.units}`],
    ["hosts", String(pool.hosts)],
    ["size", formatSize(pool.sizeBytes)],
    ["allocated", formatSize(pool.allocatedBytes)],
    ["free", formatSize(pool.freeBytes)],
    ["ready (zeroed)", formatSize(pool.readyBytes)],
    ["volumes", String(pool.volumes)],
    ["disks", String(pool.disks)],
    ["tasks running", String(pool.tasksRunning)],
    ["station epoch", String(pool.epoch)],
  ];
  const width = Math.max(...rows.map(([name]) => name!.length));
  return rows.map(([name, value]) => `${name!.padEnd(width)}  ${value}`).join("\n");
}

export function unitsText(units: readonly UnitView[]): string {
  if (units.length === 0) return "No units yet. Start one: dvsan unit --station … --device …";
  const rows = units.map((unit) => [
    unit.name,
    stateOf(unit),
    formatSize(unit.sizeBytes),
    formatSize(unit.freeBytes),
    formatSize(unit.zeroedBytes),
    String(unit.volumes),
    unit.media.map((medium) => `${medium.path || medium.id}${trouble(medium)}`).join(" "),
    unit.dataAddresses[0] ?? "-",
    unit.id.slice(0, 8),
  ]);
  const headings = ["UNIT", "STATE", "SIZE", "FREE", "ZEROED", "VOLUMES", "MEDIA", "DATA", "ID"];
  return formatTable(headings, rows);
}

function trouble(medium: { state: string; reason: string | null; errors: number }): string {
  if (medium.state === "ok") return medium.errors === 0 ? "" : ` (${medium.errors} errors)`;
  return medium.reason === null ? ` (${medium.state})` : ` (${medium.state}: ${medium.reason})`;
}

function stateOf(node: { state: string; reason: string | null; spare: boolean }): string {
  const state = node.spare ? `${node.state}, spare` : node.state;
  return node.reason === null || node.reason === state ? state : `${state}: ${node.reason}`;
}

export function hostsText(hosts: readonly HostView[]): string {
  if (hosts.length === 0) return "No hosts yet. Start one: dvsan host --station …";
  const rows = hosts.map((host) => [
    host.name,
    stateOf(host),
    formatSize(host.usedBytes),
    host.quotaBytes === Number.MAX_SAFE_INTEGER ? "none" : formatSize(host.quotaBytes),
    host.disks.map((disk) => disk.name).join(" "),
    host.address ?? "-",
    host.id.slice(0, 8),
  ]);
  return formatTable(["HOST", "STATE", "USED", "QUOTA", "DISKS", "ADDRESS", "ID"], rows);
}

export function volumesText(volumes: readonly VolumeView[]): string {
  if (volumes.length === 0) return "No volumes yet.";
  const rows = volumes.map((volume) => [
    volume.unit,
    volume.number === null ? "-" : String(volume.number),
    formatSize(volume.sizeBytes),
    volumeState(volume),
    volume.startLba === null ? "-" : `${volume.startLba}..${volume.endLba}`,
    volume.disk === null ? "-" : `${volume.disk}/${volume.leg}`,
    volume.host ?? "-",
    grantText(volume),
    errorsText(volume.errorsByKind) || "-",
    volume.difference ?? awayText(volume),
  ]);
  const headings = [
    "UNIT",
    "NUMBER",
    "SIZE",
    "STATE",
    "LBA",
    "DISK/LEG",
    "HOST",
    "GRANT",
    "ERRORS",
    "",
  ];
  return formatTable(headings, rows);
}

function volumeState(volume: VolumeView): string {
  if (volume.away !== null && volume.state !== "wanted") return "unknown";
  return volume.state === "zeroing" ? `zeroing ${percent(volume)}` : volume.state;
}

function awayText({ away, unit, state }: VolumeView): string {
  return away === null ? "" : `${state} when unit "${unit}" told last, which is away: ${away}`;
}

function grantText({ generation, grantState, fencingForMs }: VolumeView): string {
  if (generation === null) return "-";
  const age = fencingForMs === null ? "" : ` for ${formatDuration(fencingForMs)}`;
  return `${generation} ${grantState ?? ""}${age}`.trim();
}

function percent(volume: VolumeView): string {
  const done = volume.allocatedBytes === 0 ? 1 : volume.zeroedBytes / volume.allocatedBytes;
  return `${Math.floor(done * 100)}%`;
}

export function disksText(disks: readonly DiskView[]): string {
  if (disks.length === 0) return "No disks yet.";
  const rows = disks.map((disk) => [
    disk.name,
    disk.host,
    formatSize(disk.sizeBytes),
    disk.reason === null ? disk.state : `${disk.state}: ${disk.reason}`,
    disk.layout,
    String(disk.version),
    disk.legs.map((leg) => `${leg.unit} (${formatSize(leg.sizeBytes)})`).join(" + "),
    disk.id.slice(0, 8),
  ]);
  return formatTable(["DISK", "HOST", "SIZE", "STATE", "LAYOUT", "MAP", "LEGS", "ID"], rows);
}

export function tasksText(tasks: readonly TaskRecord[]): string {
  if (tasks.length === 0) return "No tasks yet.";
  const rows = tasks.map((task) => [
    task.id.slice(0, 8),
    task.title,
    task.state,
    `${Math.floor(task.progress * 100)}%`,
    task.owner,
    task.leftMs === null ? "" : formatDuration(task.leftMs),
    task.error?.message ?? task.step,
  ]);
  return formatTable(["TASK", "WHAT", "STATE", "DONE", "OWNER", "LEFT", "STEP"], rows);
}

/** A task just asked for or shown; how to follow it while there is something to follow. */
export function taskReply(task: TaskRecord): string {
  if (task.endedMs !== null) return taskText(task);
  return `${taskText(task)}\nWatch it: dvsan ctl task watch ${task.id}`;
}

export function taskText(task: TaskRecord): string {
  const lines = [`${task.title}: ${task.state}, ${Math.floor(task.progress * 100)}%`];
  if (task.step !== "") lines.push(task.step);
  if (task.error !== null) lines.push(task.error.message);
  for (const entry of task.log) lines.push(`  ${entry.text}`);
  return lines.join("\n");
}

export function eventText(event: EventRecord): string {
  const mark = event.severity === "info" ? "" : `${event.severity}: `;
  return `${event.number}  ${event.subject}  ${mark}${event.text}`;
}

export function allocationText(allocation: AllocationView): string {
  const rows = allocation.units.map((unit) => [
    unit.unit,
    unit.chosen ? "chosen" : "not chosen",
    unit.reason,
  ]);
  const legs = allocation.legs.map((leg) => `${leg.unit} (${formatSize(leg.sizeBytes)})`);
  const verdict = allocation.possible
    ? `Possible: ${legs.join(" + ")}`
    : "Not possible. Add a unit or a medium, or ask for less.";
  return `${verdict}\n${formatTable(["UNIT", "", "REASON"], rows)}`;
}
