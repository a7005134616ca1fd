import type { Mutation } from "./mutation.ts";

/**
 * Bugs in what a unit makes of media that come back or fail or share a volume, and of who comes
 * after another.
 */
export const MEDIA_MUTATIONS: readonly Mutation[] = [
  {
    name: "moved-device-served",
    breaks: "a copy is not served in place of a medium that cannot be opened",
    file: "storage/media/accept_medium.ts",
    old: "  if (elsewhere !== null) return report(",
    new: '  if (elsewhere === "") return report(',
    story: "copy-in-its-place",
  },
  {
    name: "adopted-free-space-zeroed",
    breaks: "what an adopted label calls free may have been anybody's since",
    file: "storage/media/adopt_label.ts",
    old: "  const free = intersect(label.zeroed, takenBy(label));\n",
    new: "  const free = intersect(label.zeroed, [[0, 2 ** 40]]);\n",
    story: "old-label-put-back",
  },
  {
    name: "adopted-label-keeps-grants",
    breaks: "nobody uses what an adopted medium holds on a grant of before",
    file: "storage/media/adopt_label.ts",
    old: "  if (grant === null) return { ...record, number, sequence };\n",
    new: "  if (grant === null || sequence > 0) return { ...record, number, sequence };\n",
    only: ["adopt"],
  },
  {
    name: "returned-medium-keeps-grants",
    breaks: "what was told as fenced, as its medium was given up, is fenced once that is back",
    file: "storage/media/fence_returned.ts",
    old: "  return forgotten?.includes(mediumId) ?",
    new: "  return forgotten?.includes(mediumId) && false ?",
    story: "given-up-and-back",
  },
  {
    name: "fence-of-poisoned-acknowledged",
    breaks: "no fence is acknowledged that the label cannot say",
    file: "storage/media/access_changes.ts",
    old: "    requireWhole(state, volume);\n" +
      "    const change = { next: step.next, gaining: new Set<string>(), essential: true };\n" +
      "    await writeRecord(state, volume, change);\n",
    new: "    const change = { next: step.next, gaining: new Set<string>(), essential: true };\n" +
      "    await writeRecord(state, volume, change).catch(() => {});\n    volume.durable = null;\n",
    story: "fenced-while-poisoned",
  },
  {
    name: "standing-poison-not-kept",
    breaks: "a restart makes no medium good that has lost what was written to it",
    file: "storage/media/store_state.ts",
    old: "      this.media.get(id)?.poison(reason);\n",
    new: "      if (reason === id) this.media.get(id)?.poison(reason);\n",
    story: "fenced-while-poisoned",
  },
  {
    name: "direct-not-held",
    breaks: "what comes by a token waits until nothing of the connection before is under way",
    file: "storage/nbd/gate.ts",
    old: "    const guest = this.#guestOf(connection);\n    this.#whenSettled(guest, {\n" +
      "      volumeId: to.volumeId,\n",
    new: "    to.held.release();\n    const guest = this.#guestOf(connection);\n" +
      "    this.#whenSettled(guest, {\n      volumeId: to.volumeId,\n",
    story: "direct-held-write",
  },
  {
    name: "two-by-one-token",
    breaks: "by a token there is one connection, and the newest wins",
    file: "storage/grants/grant_table.ts",
    old: "attachment: state.attachment + 1 });\n",
    new: "attachment: state.attachment });\n",
    story: "two-by-one-token",
  },
  {
    name: "older-by-a-token-not-shut",
    breaks: "who comes later by a token throws out who came before",
    file: "storage/nbd/gate.ts",
    old: '    this.#shut(admission.shut, "a newer connection came in");\n',
    new: "",
    story: "two-by-one-token",
  },
  {
    name: "older-by-a-token-writes-on",
    breaks: "who comes later by a token is the only one who writes",
    file: "storage/nbd/gate.ts",
    old: '    this.#shut(admission.shut, "a newer connection came in");\n',
    new: "    to.held.release();\n",
    story: "two-by-one-token",
  },
  {
    name: "replacing-grant-fences-nothing",
    breaks: "a newer grant is acknowledged once nothing of the older one is under way",
    file: "storage/media/access_changes.ts",
    old: "    await step.fence(step.order);\n",
    new: '    if (step.order.reason !== "replaced") await step.fence(step.order);\n',
    also: [{
      file: "storage/grants/grant_state.ts",
      old: "      assert(\n" +
        "        compareGenerations(state.terms.generation, change.terms.generation) === 0,\n" +
        '        "not fenced",\n      );\n      return state;\n',
      new: "      return { ...state, terms: change.terms };\n",
    }],
    story: "grant-replaces-held",
  },
  {
    name: "half-that-is-back-not-known",
    breaks: "a medium that comes back from another unit is a part of its volumes again",
    file: "storage/media/adopt_label.ts",
    old: "  return takenOver?.unitId === unit.unitId && takenOver.sequence >= known;\n",
    new: '  return takenOver?.unitId === "" && takenOver.sequence >= known + unit.unitId.length;\n',
    story: "half-carried-and-back",
  },
  {
    name: "flush-of-first-medium-only",
    breaks: "a flush syncs every medium that a volume lies on",
    file: "storage/devices/extents.ts",
    old: "    if (!this.#media.some(needsSync)) return this.#queue.end(operation, 0);\n" +
      "    const join = this.#joins.take();\n" +
      '    join.kind = "sync";\n    join.at = 0;\n    join.end = this.#media.length;\n',
    new: "    if (!needsSync(this.#media[0]!)) return this.#queue.end(operation, 0);\n" +
      '    const join = this.#joins.take();\n    join.kind = "sync";\n    join.at = 0;\n' +
      "    join.end = 1;\n",
    story: "two-media-flushed",
  },
  {
    name: "fua-of-first-part-only",
    breaks: "a FUA write is durable on each medium that it reaches",
    file: "storage/devices/extents.ts",
    old: "    work.flag = join.flag;\n",
    new: '    work.flag = join.flag && (join.kind !== "write" || join.extent === 0);\n',
    story: "two-media-flushed",
  },
  {
    name: "growth-left-behind-kept",
    breaks: "what a failed growth left goes also where a later change was cut between media",
    file: "storage/media/resolve.ts",
    old: "!grantedMedia(old).includes(id))\n",
    new: "old.sequence === record.sequence - 1)\n",
    story: "growth-left-behind",
  },
  {
    name: "carried-growth-waits-for-the-rest",
    breaks: "an end that was never granted is deleted where its medium was carried to, alone",
    file: "storage/media/delete_volume.ts",
    old: "volume.broken?.isFinal || isUnusedEnd(state, volume)",
    new: "volume.broken?.isFinal && !isUnusedEnd(state, volume)",
    story: "growth-left-behind",
  },
  {
    name: "another-making-granted",
    breaks: "what nobody was granted of a volume that was made twice is not granted in its place",
    file: "roles/station/making.ts",
    old: "  return held.grant === null && (",
    new: "  return held.number === 0 && (",
    story: "made-twice",
  },
  {
    name: "right-medium-stays-apart",
    breaks: "a medium is a part of its volumes again though an older copy of it was adopted before",
    file: "storage/media/replaced.ts",
    old: "label.sequence >= sequence\n    );\n    const held",
    new: "label.sequence < sequence\n    );\n    const held",
    story: "wrong-copy-adopted",
  },
  {
    name: "dead-end-keeps-disk-down",
    breaks: "a medium that dies takes no disk along that has nothing on it yet",
    file: "storage/media/resize_volume.ts",
    old: "  if (!standsOn(state, volume, next.media)) requireWhole(state, volume);\n",
    new: "  if (standsOn(state, volume, next.media)) requireWhole(state, volume);\n",
    story: "growth-left-behind",
  },
];
