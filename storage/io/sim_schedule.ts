/**
 * The simulator's event queue as the simulated kernel sees it (test/sim). A SimWorld that has one
 * decides nothing by itself: each completion, arrival and timer is an event of the queue, and each
 * choice is drawn from the seed. Without one it is as it always was for unit tests: all at once,
 * and time passes in turns that wait.
 */
export interface SimSchedule {
  /** True time in milliseconds, the same for all machines. */
  nowMs(): number;
  /**
   * Runs `run` after `delayMs` of true time, never inside this call; `what` says in words what
   * happens then, for the trace: "unit1: write of 4096 bytes at 1052672 on /u1/a ends".
   */
  after(delayMs: number, what: string, run: () => void): SimAlarm;
  /** In [0, 1), drawn from the seed. */
  fraction(): number;
  /** Adds a line about something that happens now, inside the event that runs. */
  say(text: string): void;
}

export interface SimAlarm {
  /** Idempotent; harmless after it ran. */
  cancel(): void;
}

/** What an Io belongs to: names in the trace, and the ends of a connection for the network. */
export interface SimPlace {
  /** The machine: connections between two machines go over the network, others do not. */
  readonly machine: string;
  /** The process on it and its incarnation: "unit1#2". */
  readonly process: string;
  /** Source address of its TCP connections. */
  readonly address: string;
}
