import type { Mutation } from "./mutation.ts";
import { NOT_DOUBTED } from "./table_station.ts";

/** Bugs in what a host's agent does with its disks. */
export const HOST_MUTATIONS: readonly Mutation[] = [
  {
    name: "replay-skipped",
    breaks: "what was acknowledged and not flushed is replayed after a power cut",
    file: "storage/devices/leg_life.ts",
    old: "    const replay = this.#memory.isReplayDue || this.queue.flushFailed;\n",
    new: "    const replay = this.#memory.isReplayDue && this.queue.flushFailed;\n",
    only: ["power"],
  },
  {
    name: "replay-counts-as-flushed",
    breaks: "what was replayed is kept until it is flushed: the power may fail again",
    file: "storage/devices/leg_recovery.ts",
    old: '          this.#step = "flushing";\n          this.#plan = [];\n' +
      "          this.#queue.send(this.#flush);\n          return;\n",
    new: '          this.#step = "repeating";\n          this.#plan = [];\n' +
      "          this.#flush.mark = this.#queue.log.end;\n" +
      "          this.#queue.flushFailed = false;\n" +
      "          this.#queue.flushAnswered(this.#flush);\n          break;\n",
    story: "power-fails-again",
  },
  {
    name: "verifier-ignored",
    breaks: "a host sees by the verifier that a unit may have forgotten",
    file: "storage/devices/leg_memory.ts",
    old:
      "    return this.#verifier !== null && offered !== null && !bytesEqual(this.#verifier, offered);\n",
    new:
      "    return this.#verifier === null && offered !== null && !bytesEqual(offered, offered);\n",
    only: ["power"],
  },
  {
    name: "repeat-without-a-new-number",
    breaks: "a connection that was lost with writes in flight forces a new attachment number",
    file: "storage/devices/leg_link.ts",
    old: "      attachment: this.#nextAttachment++,\n",
    new: "      attachment: this.#nextAttachment,\n",
    only: ["streams", "cut"],
  },
  {
    name: "replay-puts-back-what-was-replaced",
    breaks: "a replay never puts back what a later change replaced",
    file: "storage/devices/leg_replay_plan.ts",
    old: "    for (const gap of later.add({ start: position, end: position + length })) {\n",
    new: "    for (const gap of new Ranges().add({ start: position, end: position + length })) {\n",
    story: "host-ends-in-replay",
  },
  {
    name: "attachment-numbers-start-anew",
    breaks: "attachment numbers rise also over a host's restart",
    file: "roles/host/disk_book.ts",
    old: "    return entry.runs * STEP + chosen * ATTACHMENTS_PER_RUN;\n",
    new: "    return ATTACHMENTS_PER_RUN;\n",
    story: "late-bytes",
  },
  {
    name: "log-trimmed-too-early",
    breaks: "a flush covers only what was acknowledged before it was sent",
    file: "storage/devices/leg_queue.ts",
    old: "    this.log.releaseBefore(request.mark);\n",
    new: "    this.log.releaseBefore(this.log.end);\n",
    story: "slow-syncs",
  },
  {
    name: "failed-flush-forgotten",
    breaks: "a failed FLUSH stays failed until everything was replayed",
    file: "storage/devices/leg_queue.ts",
    old: "    if (request.error !== 0) this.flushFailed = true;\n",
    new: "    if (request.error !== 0) this.log.releaseBefore(request.mark);\n",
    only: ["media-errors", "power", "kill"],
  },
  {
    name: "overlapping-writes-race",
    breaks: "two changes of one block are never under way side by side",
    file: "storage/devices/leg_queue.ts",
    old:
      "    return !request.isChange || !this.flying.hasChangeIn(request.position, request.length);\n",
    new: "    return true;\n",
    story: "writes-meet",
  },
  {
    name: "one-leg-is-not-flushed",
    breaks: "FLUSH waits for every leg that was written",
    file: "storage/devices/linear.ts",
    old: "    for (const leg of this.#legs) leg.device.flush(this.#piece(split));\n",
    new: "    for (const leg of this.#legs) this.#legs[0]!.device.flush(this.#piece(split));\n",
    story: "long-disk",
  },
  {
    name: "flush-with-leg-away-skipped",
    breaks: "FLUSH waits for every leg that was written since its last flush, also for one away",
    file: "storage/devices/leg.ts",
    old: "    if (!queue.isDirty && !queue.losses.isOwed(operation.asker)) {\n",
    new: '    const isAway = this.status().state !== "ready";\n' +
      "    if (isAway || (!queue.isDirty && !queue.losses.isOwed(operation.asker))) {\n",
    story: "flushed-while-away",
  },
  {
    name: "new-requests-before-repeats",
    breaks: "what was never answered is repeated before anything else runs",
    file: "storage/devices/leg_queue.ts",
    old: "      if (request.isChange) this.repeats.push(request);\n" +
      "      else if (request.operation?.asker?.hasGone) this.#drop(request);\n" +
      "      else this.waiting.push(request);\n",
    new: "      this.later.put(this.#pool.giveBack(request, 0), 0);\n",
    only: ["streams", "kill"],
  },
  {
    name: "lost-write-answered-as-done",
    breaks: "a write is acknowledged by its unit, not by hope",
    file: "storage/devices/leg_queue.ts",
    old: "    let result = request.error === 0 ? 0 : -wireErrorOf(request.error);\n",
    new: "    let result = 0;\n    if (request.error !== 0) request.error = 0;\n",
    only: ["media-errors", "full"],
  },
  {
    name: "older-map-taken",
    breaks: "a host takes no map that is older than the one it holds",
    file: "roles/host/host.ts",
    old:
      "    if (held !== null && held.version > assignment.version) throw olderMap(held, assignment);\n",
    new: "    if (held !== null && held.version < 0) throw olderMap(held, assignment);\n",
    also: [NOT_DOUBTED],
    story: "told-an-older-map",
  },
  {
    name: "answered-on-a-connection-that-was-shut",
    breaks: "a consumer that goes while its connection waits for a buffer ends nobody else",
    file: "storage/nbd/server_session.ts",
    old: "    if (!this.#shut) return this.#replies.answer(request);\n",
    new: "    if (!this.#shut || !keepsBuffer) return this.#replies.answer(request);\n",
    story: "consumers-go",
  },
  {
    name: "buffer-of-a-detached-leg-kept",
    breaks: "a disk that is detached gives all of its buffers back",
    file: "storage/devices/leg_link.ts",
    old: "    this.#options.io.buffers.release(this.#buffer);\n",
    new: "",
    only: ["users"],
  },
  {
    name: "left-unread-and-begun-later",
    breaks: "what a client that has gone left unread is not begun, when requests are free again",
    file: "storage/nbd/server_session.ts",
    old: '    if (this.#calls.hasGone) return this.#host.failed("the client has gone");\n' +
      "    this.#goOn();\n",
    new: "    this.#goOn();\n",
    story: "requests-run-out",
  },
  {
    name: "gone-client-counts-as-told",
    breaks: "of a loss somebody is told who is there",
    file: "storage/devices/held.ts",
    old: "        if (!operation.asker?.hasGone) told();\n",
    new: "        told();\n",
    story: "direct-consumers-go",
  },
  {
    name: "trim-repeated-over-what-replaced-it",
    breaks: "a replayed TRIM undoes nothing that came after it",
    file: "storage/devices/leg_replay_plan.ts",
    old: "    for (const gap of later.add({ start: position, end: position + length })) {\n",
    new: "    if (change.command === 4) {\n" +
      "      pieces.unshift({ sequence, skip: 0, length });\n      continue;\n    }\n" +
      "    for (const gap of later.add({ start: position, end: position + length })) {\n",
    story: "trims-repeated",
  },
  {
    name: "trim-repeated-after-a-flush",
    breaks: "what a flush covers is not repeated, so that a block keeps what was read after that",
    file: "storage/devices/leg_queue.ts",
    old: "    this.log.releaseBefore(request.mark);\n",
    new: "    this.log.releaseBefore(Math.max(this.log.begin, request.mark - 2));\n",
    story: "trims-repeated",
  },
  {
    name: "loss-untold-when-there-is-newer",
    breaks: "what an earlier process wrote is told, whatever this one has written over it",
    file: "storage/devices/leg_memory.ts",
    old: "this.#queue.unknownBefore && this.#before !== mark;\n",
    new: "this.#queue.unknownBefore &&\n" +
      "      this.#before !== mark && this.#queue.log.isEmpty;\n",
    story: "consumers-return-and-write",
  },
  {
    name: "buffer-kept-for-minutes",
    breaks: "a disk that is detached gives its buffers back as soon as nothing of it is under way",
    file: "storage/devices/leg_link.ts",
    old: "    this.#options.io.buffers.release(this.#buffer);\n",
    new: "    const { io } = this.#options;\n" +
      "    new LegTimer(io, () => io.buffers.release(this.#buffer)).set(280_000);\n",
    only: ["users"],
  },
  {
    name: "lost-connection-fails-requests",
    breaks: "I/O waits for a unit that is away, and goes on when it is back",
    file: "storage/devices/leg_life.ts",
    old: "beforeMs: this.#expired ? Infinity : beforeMs });\n",
    new: "beforeMs: beforeMs < Infinity ? Infinity : beforeMs });\n",
    only: ["kill", "cut"],
  },
];
