import { formatSize } from "../process/sizes.ts";
import { formatTable } from "../process/tables.ts";
import type { CatalogView, DifferenceView, RecoveryView, UnitView } from "../../web/station_api.ts";

const MEMBERS_SHOWN_MAX = 16;

/** What `dvsan ctl` prints about what does not agree, without --json. */

export function differencesText(differences: readonly DifferenceView[]): string {
  if (differences.length === 0) return "Station, units and hosts agree.";
  return differences.map(differenceText).join("\n\n");
}

function differenceText(one: DifferenceView): string {
  const lines = [
    one.subject,
    `  wanted:  ${one.wanted}`,
    `  held:    ${one.held}`,
    `  station: ${one.will}`,
  ];
  if (one.onConfirm !== null) lines.push(`  after you confirm: ${one.onConfirm}`);
  if (one.waits !== null) lines.push(`  waits:   ${one.waits}`);
  return lines.join("\n");
}

export function recoveryText(view: RecoveryView): string {
  const lines = [`state: ${view.state}`, ...view.reasons.map((reason) => `  ${reason}`)];
  if (view.unseen.length > 0) {
    lines.push(`Units that did not tell yet what they hold: ${view.unseen.join(", ")}`);
  }
  const isPartial = view.unseen.length > 0 && view.differences.length === 0;
  lines.push("", isPartial ? "Nothing differs so far." : differencesText(view.differences));
  if (view.state === "recovered") {
    lines.push(
      "",
      `Nodes that this catalog lets in: ${membersText(view.members)}.`,
      "If one of them was revoked after both the catalog and station.json were written, revoke it",
      "again (dvsan ctl node revoke NAME) and make new join keys (dvsan ctl key rotate).",
      "Nothing is fenced, deleted or taken over, and nobody is granted anything new, before this",
      "list is confirmed. To confirm it:",
      `  dvsan ctl recover --confirm ${view.list}`,
    );
  }
  return lines.join("\n");
}

function membersText(members: readonly string[]): string {
  if (members.length === 0) return "none yet";
  const more = members.length - MEMBERS_SHOWN_MAX;
  const shown = members.slice(0, MEMBERS_SHOWN_MAX);
  if (more > 0) return `${shown.join(", ")} and ${more} more (dvsan ctl hosts, dvsan ctl units)`;
  return shown.length === 1 ? shown[0]! : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

export function catalogText(view: CatalogView): string {
  const lines = [`${view.file}: ${view.isSound ? "sound" : "not sound"}`];
  for (const finding of view.findings) lines.push(`  ${finding}`);
  if (!view.isSound) {
    lines.push(
      "The station goes on with what it has in memory. To write a new file from that, beside this",
      "one, which stays as it is: dvsan ctl check --repair",
    );
  }
  for (const { path, reason, kept, lost } of view.setAside) {
    lines.push(`set aside: ${path}: ${reason}; ${kept} records were taken over from it`);
    for (const record of lost) lines.push(`  not taken over: ${record}`);
  }
  return lines.join("\n");
}

export function mediaText(
  units: readonly Pick<UnitView, "name" | "state" | "reason" | "media">[],
): string {
  const rows = units.flatMap((unit) =>
    unit.media.map((medium) => [
      unit.name,
      medium.id.slice(0, 8),
      medium.path || "-",
      medium.state,
      formatSize(medium.sizeBytes),
      formatSize(medium.freeBytes),
      String(medium.errors),
      medium.reason ?? (unit.state === "online" ? "" : `as the unit last told: ${unit.reason}`),
    ])
  );
  if (rows.length === 0) return "No media yet. Start a unit: dvsan unit --station … --device …";
  return formatTable(["UNIT", "MEDIUM", "PATH", "STATE", "SIZE", "FREE", "ERRORS", ""], rows);
}
