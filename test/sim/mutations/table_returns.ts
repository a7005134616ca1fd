import type { Mutation } from "./mutation.ts";

/** Bugs in what consumers are told that come back over a restart of their host's agent. */
export const RETURNS_MUTATIONS: readonly Mutation[] = [
  {
    name: "owed-losses-forgotten-at-restart",
    breaks: "a host that was killed still knows under what its disks were attached",
    file: "roles/host/disk_book.ts",
    old: "marks: use?.marks ?? null };\n",
    new: "marks: null };\n",
    story: "consumers-return",
  },
  {
    name: "mark-kept-before-anybody-was-told",
    breaks: "a host owes a loss until it was told, over further restarts",
    file: "storage/devices/leg_memory.ts",
    old: "    if (flushFailed || losses.isUntold || this.#pause.isSet) return;\n",
    new: "    if (flushFailed) return;\n",
    story: "consumers-return",
  },
  {
    name: "earlier-process-forgotten-at-attaching",
    breaks: "until a flush, a unit holds what an earlier process of the host cannot replay",
    file: "storage/devices/leg_memory.ts",
    old: "    if (!isLoss) return false;\n",
    new: "    if (!isLoss) {\n      this.#before = null;\n      return false;\n    }\n",
    story: "consumers-return",
  },
  {
    name: "first-loss-counts-for-all",
    breaks: "what an earlier process wrote may outlive one power cut, and not the next",
    file: "storage/devices/leg_memory.ts",
    old: "    this.#before = mark;\n",
    new: "    this.#before = null;\n",
    story: "host-ends-in-replay",
  },
  {
    name: "detached-counts-as-flushed",
    breaks: "an agent that ends while a unit is away leaves behind that something is unflushed",
    file: "storage/devices/leg_memory.ts",
    old: "    return this.#recovered === this.#kept && !this.#queue.isDirty;\n",
    new: "    return true;\n",
    story: "consumers-return",
  },
  {
    name: "continuity-without-boot-id",
    breaks: "a unit's continuity ends with its machine",
    file: "storage/worker/history_token.ts",
    old: ".update(bootId);\n",
    new: '.update(what === "verifier" ? bootId : "");\n',
    story: "consumers-return",
  },
  {
    name: "continuity-of-a-process",
    breaks: "a unit's continuity outlasts its process, so that no flush fails for nothing",
    file: "storage/worker/history_token.ts",
    old: "${of.store.mediumContinuity(id)}`;\n",
    new: "${of.store.mediumHistory(id)}`;\n",
    story: "consumers-return",
  },
  {
    name: "continuity-outlasts-poison",
    breaks: "a medium that failed and was opened anew has lost what was not flushed",
    file: "storage/media/store_state.ts",
    old: "          this.continuity.broken(id);\n",
    new: "",
    also: [{
      file: "storage/media/store_state.ts",
      old: "      if (reopened in this.#poisonedBefore) this.continuity.broken(reopened);\n",
      new: "",
    }],
    story: "reopened-unrepeated",
  },
];
