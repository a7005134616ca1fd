import type { Mutation } from "./mutation.ts";

/** Bugs in labels, catalog, epochs and sessions: in who is right. */
/** Nodes' memory of earlier runs is a guard by itself, once what differs is confirmed. */
const NOT_ABOVE_HEARD = {
  file: "roles/station/recovery.ts",
  old: "    await epoch.raiseAboveHeard();\n",
  new: "",
};

export const TRUTH_MUTATIONS: readonly Mutation[] = [
  {
    name: "one-label-copy-written",
    breaks: "a power cut at any instant leaves a label that opens",
    file: "storage/media/write_label.ts",
    old: "  await file.write(copyBStart(label.sizeBytes), copies.B);\n",
    new: "  if (label.sequence === 1) await file.write(copyBStart(label.sizeBytes), copies.B);\n",
    only: ["power", "kill"],
  },
  {
    name: "label-not-synced",
    breaks: "a label is durable before anything is said about it",
    file: "storage/media/write_label.ts",
    old: "    await file.sync();\n",
    new: "    void file.sync().catch(() => {});\n",
    only: ["power", "users"],
  },
  {
    name: "copies-written-side-by-side",
    breaks: "of a label's two copies one is durable while the other is written",
    file: "storage/media/write_label.ts",
    old: "  await file.write(0, copies.A);\n  await syncLabel(file);\n",
    new: "  await file.write(0, copies.A);\n",
    only: ["users"],
  },
  {
    name: "older-label-accepted",
    breaks: "a medium that was rolled back is recognised",
    file: "storage/media/accept_medium.ts",
    old: '  if (own.sequence < (known ?? 0)) return report("stale", oldCopy(own));\n',
    new: "",
    only: ["rollback"],
  },
  {
    name: "another-units-label-accepted",
    breaks: "a medium labelled by another unit is not served",
    file: "storage/media/accept_medium.ts",
    old: "  if (label !== null && label.unitId !== options.unitId) {\n",
    new: '  if (label !== null && label.unitId === "") {\n',
    only: ["swap"],
  },
  {
    name: "unknown-volume-deleted",
    breaks: "volumes that the station does not know are adopted, never deleted",
    file: "roles/station/plan.ts",
    old: '    return act({ kind: "adopt", held }, "not known here: will be adopted");\n',
    new: "    const { id: volumeId, sequence, grant } = held;\n" +
      '    if (grant?.state === "active") {\n' +
      '      return act({ kind: "revoke", volumeId, generation: grant.generation, sequence }, "x");\n' +
      "    }\n" +
      '    return act({ kind: "delete", volumeId, sequence }, "x");\n',
    only: ["catalog"],
  },
  {
    name: "tombstone-forgotten",
    breaks: "a volume that was deleted while its unit was away is deleted at its return",
    file: "roles/station/plan.ts",
    old: "  if (tombstone !== null) return planBurial(tombstone, input);\n",
    new: "",
    story: "released-unheard",
  },
  {
    name: "recovered-station-destroys",
    breaks: "a station that is behind deletes and fences nothing before an operator confirmed",
    file: "roles/station/plan.ts",
    old: "  const withheld = (plan.destroys || plan.admits === true) && input.destroysNothing;\n",
    new: "  const withheld = plan.admits === true && input.destroysNothing;\n",
    story: "behind-with-tombstones",
  },
  {
    name: "newer-grant-on-label-ignored",
    breaks: "the label is right about the current grant",
    file: "roles/station/plan.ts",
    old: "  if (isUnknown(held.grant, grant)) {\n",
    new: "  if (isUnknown(held.grant, grant) && held.sequence < 0) {\n",
    story: "generation-given-twice",
  },
  {
    name: "twins-generation-taken-for-ones-own",
    breaks: "a generation that two stations gave is the one that its unit took",
    file: "roles/station/evidence.ts",
    old:
      '  if (compareGenerations(generation, row) !== 0 || row.state !== "active") return false;\n',
    new: '  if (compareGenerations(generation, row) !== 0 || row.state !== "x") return false;\n',
    story: "generation-given-twice",
  },
  {
    name: "newer-maps-of-hosts-ignored",
    breaks: "a host refuses an older map, and the station goes above it",
    file: "roles/station/newer_maps.ts",
    old: "      const isNewer = version > disk.version;\n",
    new: "      const isNewer = version < 0;\n",
    story: "hosts-are-ahead",
  },
  {
    name: "granted-end-taken-back",
    breaks: "what was granted stays, whatever an older catalog says",
    file: "roles/station/plan.ts",
    old: "  if (held.grant.sizeBytes <= volume.sizeBytes) return null;\n",
    new: "  if (held.sequence > 0) return null;\n",
    also: [
      {
        file: "roles/station/plan.ts",
        old:
          "  if (sizeBytes <= volume.sizeBytes || (grant?.sizeBytes ?? 0) > volume.sizeBytes) return null;\n",
        new: "  if (sizeBytes <= volume.sizeBytes || grant === null) return null;\n",
      },
      {
        file: "storage/media/resize_volume.ts",
        old: "  if (body.sizeBytes < grantedBytes) {\n",
        new: "  if (body.sizeBytes < 0) {\n",
      },
      {
        file: "storage/media/resize_volume.ts",
        old: "    sizeBytes: body.sizeBytes,\n    leg: body.leg,\n  };\n  if (!standsOn",
        new: "    sizeBytes: body.sizeBytes,\n    leg: body.leg,\n" +
          "    grant: record.grant && { ...record.grant, sizeBytes: body.sizeBytes },\n" +
          "  };\n  if (!standsOn",
      },
    ],
    story: "restored-before-growth",
  },
  {
    name: "generation-used-again",
    breaks: "a generation is never given twice, also after the catalog was lost",
    file: "roles/station/epoch.ts",
    old: "    return { epoch: this.#value, counter: ++this.#counter };\n",
    new: "    return { epoch: 1, counter: ++this.#counter };\n",
    story: "catalog-lost",
  },
  {
    name: "lower-epoch-accepted",
    breaks: "a unit obeys no station of a lower epoch than it has seen",
    file: "storage/media/store_state.ts",
    old: "    if (station.epoch < known.epoch) {\n",
    new: "    if (station.epoch < 0) {\n",
    also: [
      {
        file: "roles/station/recovery.ts",
        old: "    if (info.epoch > epoch.value || (info.epoch === epoch.value && other)) {\n",
        new: "    if (info.epoch < 0 || (info.epoch === epoch.value && other)) {\n",
      },
      {
        file: "roles/station/recovery.ts",
        old: "    await epoch.raiseAbove(highestEpoch(info, epoch.value));\n",
        new: "",
      },
      NOT_ABOVE_HEARD,
    ],
    story: "catalog-lost-later",
  },
  {
    name: "two-instances-obeyed",
    breaks: "of two stations with one key, one loses",
    file: "storage/media/store_state.ts",
    old:
      "    if (station.epoch === known.epoch && station.instance !== known.instance && !fresh) {\n",
    new: '    if (station.epoch === known.epoch && station.instance === "" && !fresh) {\n',
    also: [
      {
        file: "roles/station/recovery.ts",
        old: "    if (info.epoch > epoch.value || (info.epoch === epoch.value && other)) {\n",
        new: "    if (info.epoch > epoch.value && other) {\n",
      },
      {
        file: "roles/station/recovery.ts",
        old: "    await epoch.raiseAbove(highestEpoch(info, epoch.value));\n",
        new: "",
      },
      NOT_ABOVE_HEARD,
    ],
    story: "older-backup",
  },
  {
    name: "strange-instance-not-remembered",
    breaks: "a unit obeys one instance of an epoch, also after its restart",
    file: "storage/media/store_state.ts",
    old: "        this.#instance = label.instance;\n",
    new: "",
    also: [
      {
        file: "storage/media/store_state.ts",
        old: '    const fresh = known.epoch === 0 && known.instance === "";\n',
        new: '    const fresh = known.instance === "";\n',
      },
      {
        file: "storage/media/write_opening.ts",
        old: "      instance: next.instance,\n",
        new: "      instance: label.instance,\n",
      },
      NOT_ABOVE_HEARD,
    ],
    story: "one-epoch-twice",
  },
  {
    name: "epoch-not-raised",
    breaks: "a station raises its epoch durably at every start",
    file: "roles/station/epoch.ts",
    old: "    const value = Math.max(seen + 1, this.#raised);\n",
    new: "    const value = Math.max(1, seen, this.#raised);\n",
    only: ["kill", "users", "clone"],
  },
  {
    name: "replayed-handshake-acted-on",
    breaks: "message 1 can be replayed, so it changes nothing",
    file: "roles/station/link/node_sessions.ts",
    old: "      if (reply !== null) this.#transmit(reply, from);\n",
    new: "      if (reply !== null) this.#transmit(reply, from);\n" +
      "      for (const half of this.#door.halfOpen.ofNode(packet.session)) this.#confirmed(half);\n",
    story: "attacker-copies",
  },
  {
    name: "address-trusted",
    breaks: "addresses are hints: what is sealed goes to where the handshake was made",
    file: "roles/station/link/node_sessions.ts",
    old: "    const opened = member.open(packet, this.#o.clock.nowMs());\n",
    new: "    member.isAt(from);\n" +
      "    const opened = member.open(packet, this.#o.clock.nowMs());\n",
    also: [{
      file: "roles/station/link/member.ts",
      old: "    return sameEndpoint(this.#current().endpoint, endpoint);\n",
      new: "    this.#seat = { ...this.#current(), endpoint };\n    return true;\n",
    }],
    story: "attacker-copies",
  },
  {
    name: "copy-moves-a-session",
    breaks: "a copy that arrives where its packet was lost gives its sender nothing",
    file: "roles/station/link/member.ts",
    old: "    return sameEndpoint(this.#current().endpoint, endpoint);\n",
    new: "    this.#seat = { ...this.#current(), endpoint };\n    return true;\n",
    story: "attacker-copies",
  },
  {
    name: "replay-window-off",
    breaks: "a packet is taken once",
    file: "protocol/config/replay_window.ts",
    old: "    if (counter >= this.#next) {\n",
    new: "    this.#seen.fill(0);\n    if (counter >= 0) {\n",
    story: "attacker-copies",
  },
  {
    name: "told-before-granted",
    breaks: "a host is told of space only after every unit acknowledged its grant",
    file: "roles/station/assignments.ts",
    old: "      sizeBytes: volume.publishedBytes,\n",
    new: "      sizeBytes: volume.sizeBytes,\n",
    story: "grows-slowly",
  },
  {
    name: "revoked-forgotten-with-the-catalog",
    breaks: "a node that was revoked stays out when an older catalog is restored",
    file: "roles/station/revoked_nodes.ts",
    old: '      catalog.nodes.get(id)?.admission !== "revoked"\n',
    new: "      catalog.nodes.get(id)?.admission === undefined\n",
    story: "revoked-then-restored",
  },
];
