import type { Edit, Mutation } from "./mutation.ts";

/** The station believes its whole state directory, whatever nodes have heard. */
export const NOT_DOUBTED: Edit = {
  file: "roles/station/heard_marks.ts",
  old: "    if (heard === undefined || !epoch.isBehind(heard)) return epoch.mark;\n",
  new: "    if (heard === undefined || heard.commits >= 0) return epoch.mark;\n",
};

/** Bugs in what a station orders and tells, with a catalog that may be of another history. */
export const STATION_MUTATIONS: readonly Mutation[] = [
  {
    name: "tombstone-over-newer-grant",
    breaks: "a disk that was granted after somebody else released it is not deleted",
    file: "roles/station/plan.ts",
    old: "  if (grant !== null && compareGenerations(grant.generation, known) > 0) {\n",
    new: "  if (held.sequence < 0 && compareGenerations(grant!.generation, known) > 0) {\n",
    also: [NOT_DOUBTED],
    story: "released-in-another-history",
  },
  {
    name: "gone-told-before-units-are-back",
    breaks: "no host lets go of a disk before its units could show that it is used",
    file: "roles/station/station.ts",
    old:
      '      (!isGoing(disk) || (standing.state === "normal" && !nodes.areUnitsReturning())) &&\n',
    new: '      (!isGoing(disk) || standing.state === "normal") &&\n',
    story: "released-in-another-history",
  },
  {
    name: "removed-record-stays-in-the-file",
    breaks: "the catalog's file holds what the station goes by, and nothing else",
    file: "roles/station/catalog/writing.ts",
    old: '.where(key as "key", "=", change.remove)',
    new: '.where(key as "key", "=", `${change.remove} `)',
    only: ["users"],
  },
  {
    name: "no-epoch-mark",
    breaks: "a unit knows the station that serves its disks, also when there is nothing to change",
    file: "roles/station/epoch_mark.ts",
    old: '    if (held.state !== "ready" || held.grant?.state !== "active") continue;\n',
    new: "    if (held.sequence > 0) continue;\n",
    also: [NOT_DOUBTED],
    story: "released-in-another-history",
  },
  {
    name: "access-told-before-units-took-it",
    breaks: "a host is told of a grant only after its unit acknowledged it",
    file: "roles/station/station.ts",
    old: '      (disk.state !== "ready" || !awaitsGrants(pool, disk));\n',
    new: '      (disk.name !== "" || !awaitsGrants(pool, disk));\n',
    only: ["direct", "cut", "stalls"],
  },
  {
    name: "what-the-disk-refused-counts-as-kept",
    breaks: "what a full disk kept from the catalog is refused, and nobody is told that it is done",
    file: "roles/station/catalog/catalog.ts",
    old: "        for (const waiting of all.toReversed()) waiting.undo();\n" +
      "        const refusal = refusalOf(error);\n" +
      "        for (const waiting of all) waiting.reject(refusal);\n",
    new: "        for (const waiting of all) waiting.resolve();\n",
    only: ["full", "users", "kill"],
  },
  {
    name: "let-in-by-an-older-catalog",
    breaks: "nobody is granted anything new on an older catalog's word before that was confirmed",
    file: "roles/station/plan.ts",
    old: "  const withheld = (plan.destroys || plan.admits === true) && input.destroysNothing;\n",
    new: "  const withheld = plan.destroys && input.destroysNothing;\n",
    story: "revoked-in-no-backup",
  },
  {
    name: "whole-directory-not-doubted",
    breaks: "a station whose whole directory is an older copy learns from nodes that it is behind",
    ...NOT_DOUBTED,
    story: "revoked-unseen",
  },
  {
    name: "commits-of-a-run-not-compared",
    breaks: "a copy of within a station's run is known to be older, though it knows that run",
    file: "roles/station/epoch.ts",
    old: "    return known.commits !== undefined && heard.commits > known.commits;\n",
    new: "    return false;\n",
    story: "revoked-unseen",
  },
  {
    name: "heard-commits-not-kept",
    breaks: "nodes remember how far the catalog was, over their restarts",
    file: "roles/agent/heard_catalog.ts",
    old: "    this.#timer ??= this.#o.clock.after(HEARD_CATALOG_KEPT_MS, () => this.#keep());\n",
    new: "",
    story: "revoked-unseen",
  },
  {
    name: "uncertain-disk-told",
    breaks: "nobody is told of a disk of which not all legs were seen",
    file: "roles/station/certainty.ts",
    old: "  if (disk.adopted === 0) return null;\n",
    new: "  if (disk.adopted >= 0) return null;\n",
    also: [{
      file: "roles/host/host.ts",
      old:
        '    if (held !== null && assignment.state !== "released") requireItsLegs(held, assignment);\n',
      new: "",
    }],
    story: "leg-out-of-sight",
  },
  {
    name: "difference-that-never-goes",
    breaks: "what is shown to differ is what somebody waits for, and goes in the end",
    file: "roles/station/disk_differences.ts",
    old: '  if (owner?.admission === "revoked") return null;\n',
    new: "",
    story: "revoked-in-no-backup",
  },
  {
    name: "release-waits-for-a-restart",
    breaks: "a disk that somebody gives back is released, also where that failed at first",
    file: "roles/station/tasks/disk_release.ts",
    old: "    await untilUnitsReturned(pool, task.signal);\n",
    new: '    if (!task.isResumed) throw new DvsanError("unavailable", "Ask again.");\n' +
      "    await untilUnitsReturned(pool, task.signal);\n",
    only: ["users"],
  },
  {
    name: "revocation-not-durable",
    breaks: "who was revoked stays so when the station starts anew",
    file: "roles/station/tasks/node_revoke.ts",
    old:
      '  await pool.catalog.commit([\n    { table: "nodes", put: { ...node, admission: "revoked" } },\n',
    new: '  pool.catalog.note({ table: "nodes", put: { ...node, admission: "revoked" } });\n' +
      "  await pool.catalog.commit([\n",
    also: [{
      file: "roles/station/tasks/node_revoke.ts",
      old: "  const advice = pool.revoked.add(node);\n",
      new: "  const advice = node.name === null ? pool.revoked.add(node) : null;\n",
    }],
    only: ["revoke", "restart"],
  },
];
