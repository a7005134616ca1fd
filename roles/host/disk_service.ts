import { z } from "zod";
import { type Assignment, Bytes, Name, type TaskView } from "../../protocol/config/bodies.ts";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { AnswerBody, RequestBody, RequestName } from "../../protocol/config/requests.ts";
import { type Clock, wait } from "../../protocol/core/clock.ts";
import { DvsanError, fromPlainError } from "../../protocol/core/errors.ts";
import { TASK_POLL_MS_MAX, TASK_POLL_MS_MIN } from "../../protocol/core/limits.ts";
import { type Random, randomUuid } from "../../protocol/core/random.ts";
import type { DiskBook } from "./disk_book.ts";
import { type DiskSummary, summaryOf } from "./disk_summary.ts";
import type { Host } from "./host.ts";
import type { LocalAnswer } from "./local_call.ts";

export interface DiskServiceOptions {
  readonly host: Host;
  readonly book: DiskBook;
  readonly link: AgentLink;
  readonly clock: Clock;
  readonly random: Random;
}

const Sized = z.strictObject({ name: Name, sizeBytes: Bytes });
const Named = z.strictObject({ name: Name });
const Shown = z.strictObject({ name: Name, direct: z.boolean() });

type Progress = (text: string) => void;
type Answering = (params: unknown, progress: Progress, signal: AbortSignal) => Promise<unknown>;

/** What the host's agent does for `dvsan disk`: asks the station, waits, and tells the result. */
export class DiskService {
  readonly #options: DiskServiceOptions;
  /** Ids of creations whose asker may repeat: the same name asks for the same disk. */
  readonly #asked = new Map<string, string>();

  constructor(options: DiskServiceOptions) {
    this.#options = options;
  }

  /** For answerLocalCalls(). */
  readonly answer: LocalAnswer = (call, { progress, signal }) => {
    const commands: Readonly<Record<string, Answering>> = {
      create: (params, ...rest) => this.#create(parse(Sized, params), ...rest),
      list: () =>
        Promise.resolve(this.#options.book.list().map((one) => summaryOf(this.#options.host, one))),
      show: (params, ...rest) => this.#show(parse(Shown, params), ...rest),
      attach: (params, ...rest) => this.#attach(parse(Named, params), ...rest),
      grow: (params, ...rest) => this.#grow(parse(Sized, params), ...rest),
      release: (params, ...rest) => this.#release(parse(Named, params), ...rest),
    };
    const command = Object.hasOwn(commands, call.command) ? commands[call.command] : undefined;
    if (command === undefined) {
      throw new DvsanError("unsupported", `This agent does not know "${call.command}".`);
    }
    return command(call.params, progress, signal);
  };

  async #create(
    asked: z.infer<typeof Sized>,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<DiskSummary> {
    const { name, sizeBytes } = asked;
    if (this.#options.book.byName(name) !== null) {
      throw new DvsanError(
        "exists",
        `Cannot create disk "${name}": this host has one of that name. Choose another name, or ` +
          `see it with: dvsan disk show ${name}`,
      );
    }
    const diskId = this.#asked.get(name) ?? randomUuid(this.#options.random);
    this.#asked.set(name, diskId);
    try {
      const request = { diskId, name, sizeBytes, layout: "linear" } as const;
      const answer = await this.#ask("STORAGE_REQUEST", request, { progress, signal });
      await this.#finish(answer, progress, signal);
    } catch (error) {
      // A refusal is final; anything else may have got through, and is asked with the same id.
      if (error instanceof DvsanError && !UNDECIDED.has(error.code)) this.#asked.delete(name);
      throw error;
    }
    this.#asked.delete(name);
    return await this.#usable(diskId, { name, signal });
  }

  async #show(
    { name, direct }: z.infer<typeof Shown>,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<DiskSummary & { uris?: readonly string[] }> {
    const held = this.#named(name);
    if (!direct) return summaryOf(this.#options.host, held);
    this.#refuseInUse(held, "handed out for direct access");
    const { diskId } = held;
    const answer = await this.#access({ diskId, direct: true }, progress, signal);
    const uris = answer.uris ?? [];
    return { ...summaryOf(this.#options.host, this.#named(name)), uris };
  }

  async #attach(
    { name }: z.infer<typeof Named>,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<DiskSummary> {
    const held = this.#named(name);
    if (held.state === "direct") {
      await this.#access({ diskId: held.diskId, direct: false }, progress, signal);
    } else this.#options.host.again(held.diskId);
    return await this.#usable(held.diskId, { name, signal });
  }

  async #grow(
    { name, sizeBytes }: z.infer<typeof Sized>,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<DiskSummary> {
    const { diskId } = this.#named(name);
    this.#options.host.refused.forget(diskId);
    const answer = await this.#ask("DISK_GROW", { diskId, sizeBytes }, { progress, signal });
    await this.#finish(answer, progress, signal);
    const { book } = this.#options;
    await this.#untilTaken(diskId, () => (book.get(diskId)?.sizeBytes ?? 0) >= sizeBytes, signal);
    return await this.#usable(diskId, { name, signal });
  }

  async #release(
    { name }: z.infer<typeof Named>,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<{ released: string }> {
    const held = this.#named(name);
    this.#refuseInUse(held, "released");
    const { diskId } = held;
    this.#options.host.refused.forget(diskId);
    const answer = await this.#ask("DISK_RELEASE", { diskId }, { progress, signal });
    await this.#finish(answer, progress, signal);
    await this.#untilTaken(diskId, () => this.#options.book.get(diskId) === null, signal);
    await this.#options.host.settled(held.diskId);
    return { released: name };
  }

  async #access(
    body: { diskId: string; direct: boolean },
    progress: Progress,
    signal: AbortSignal,
  ): Promise<AnswerBody<"TASK_QUERY">> {
    const answer = await this.#ask("DISK_ACCESS", body, { progress, signal });
    return await this.#finish(answer, progress, signal);
  }

  /** Follows a task of the station to its end; rejects with its error. */
  async #finish(
    answer: AnswerBody<"TASK_QUERY">,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<AnswerBody<"TASK_QUERY">> {
    const { clock } = this.#options;
    let pauseMs = TASK_POLL_MS_MIN;
    let told = "";
    for (;;) {
      const { task } = answer;
      const text = words(task);
      if (text !== told) progress(text);
      told = text;
      if (task.state === "done") return answer;
      if (task.state === "failed" || task.state === "cancelled") {
        throw fromPlainError(
          task.error ?? { code: "cancelled", message: `The task "${task.title}" was cancelled.` },
        );
      }
      await wait(clock, pauseMs, signal);
      pauseMs = Math.min(pauseMs * 1.5, TASK_POLL_MS_MAX);
      answer = await this.#ask("TASK_QUERY", { taskId: task.id }, { progress, signal });
    }
  }

  /** The disk once its socket can be used. */
  async #usable(
    diskId: string,
    { name, signal }: { name: string; signal: AbortSignal },
  ): Promise<DiskSummary> {
    const { host, book } = this.#options;
    await this.#untilTaken(diskId, () => book.get(diskId) !== null, signal);
    await host.settled(diskId);
    await this.#until(() => {
      const failure = host.failure(diskId);
      if (failure !== null) throw new DvsanError("unavailable", failure);
      const status = host.status(diskId);
      if (status?.state === "failed") {
        const reason = status.legs.find((leg) => leg.reason !== undefined)?.reason;
        throw new DvsanError("unavailable", `Disk "${name}" cannot be used: ${reason}`);
      }
      return status?.state === "ready";
    }, signal);
    return summaryOf(this.#options.host, this.#named(name));
  }

  /** Until the map that the station tells is kept here; rejects with why it cannot be. */
  async #untilTaken(diskId: string, isTaken: () => boolean, signal: AbortSignal): Promise<void> {
    await this.#until(() => {
      if (isTaken()) return true;
      const why = this.#options.host.refused.reason(diskId);
      if (why === null) return false;
      throw new DvsanError(
        "unavailable",
        `The station has done it, and this host cannot take over what is new: ${why} Once that ` +
          "is mended, it does by itself. See: dvsan disk list",
      );
    }, signal);
  }

  async #until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    let pauseMs = 1;
    while (!condition()) {
      await wait(this.#options.clock, pauseMs, signal);
      pauseMs = Math.min(pauseMs * 2, TASK_POLL_MS_MAX / 4);
    }
  }

  /** Asks the station; says so when that means waiting for it. */
  async #ask<N extends RequestName>(
    name: N,
    body: RequestBody<N>,
    { progress, signal }: { progress: Progress; signal: AbortSignal },
  ): Promise<AnswerBody<N>> {
    const { link } = this.#options;
    if (link.state !== "connected") {
      progress(`Waiting for the station: ${link.reason ?? "not connected yet"}`);
    }
    return await link.request(name, body, { signal });
  }

  #named(name: string): Assignment {
    const held = this.#options.book.byName(name);
    if (held !== null) return held;
    throw new DvsanError(
      "not-found",
      `This host has no disk "${name}". See its disks with: dvsan disk list`,
    );
  }

  #refuseInUse(held: Assignment, what: string): void {
    const connections = this.#options.host.status(held.diskId)?.connections ?? 0;
    if (connections === 0) return;
    throw new DvsanError(
      "busy",
      `Disk "${held.name}" is in use by ${connections} connection(s) and cannot be ${what}. ` +
        "End its consumers first.",
    );
  }
}

/** Errors after which nobody knows whether the station heard the request. */
const UNDECIDED: ReadonlySet<string> = new Set(["timeout", "unavailable", "cancelled"]);

function words(task: TaskView): string {
  const percent = `${Math.floor(task.progress * 100)}%`;
  return task.step === "" ? `${task.title}: ${task.state} ${percent}` : `${task.step} ${percent}`;
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new DvsanError("invalid", z.prettifyError(parsed.error));
}
