import {
  IO_HANDLES_MAX,
  LOOK_CREDIT,
  LOOK_LARGE_SLEEPS,
  LOOK_PAUSES_MAX,
  LOOK_PAUSES_MIN,
  LOOK_SLEEP_MS,
} from "../../protocol/core/limits.ts";

/** How often memory is asked before the clock is: seldom enough to see what comes in between. */
export const LOOKS_PER_CLOCK = 4;
/** With so many, the pause between tries is the longest. */
const DOUBLINGS_MAX = Math.log2(LOOK_PAUSES_MAX / LOOK_PAUSES_MIN);

/**
 * Whether a turn that has nothing to do looks for work before it sleeps. Waking a thread takes
 * longer than many a peer takes for its next request, above all on a virtual machine. But looking
 * takes the processor from whoever would bring that work, if they share it, so it is done only
 * while it pays: when sleeps turn out short it is tried once, it goes on while it finds something,
 * and after each vain try it is tried more seldom.
 *
 * Only what comes while it looks, without an interruption, was worth it. Whoever runs on the same
 * processor may be let in before this thread sleeps, and bring its work in the middle of a look:
 * then it was not the look that found it, and the next one may well keep that peer out.
 *
 * What pays is known for each socket that was served last, since that is who answers next: a host
 * waits in turn for a consumer, which may have a processor of its own, and for a unit, which may
 * share the host's. Nor does it look among large transfers: there it always finds something, since
 * the next bytes are on their way, but a sleep would lose nothing.
 */
export class Eagerness {
  /** Index of the handle that was served last. */
  #served = 0;
  /** By handle: vain tries that are still allowed. */
  readonly #credits = new Uint8Array(IO_HANDLES_MAX);
  /** By handle: short sleeps since looking ended, and how often the pause before a try doubled. */
  readonly #sleeps = new Uint16Array(IO_HANDLES_MAX);
  readonly #doublings = new Uint8Array(IO_HANDLES_MAX);
  /** Sleeps until the last large transfer is forgotten. */
  #large = 0;

  /** What the handle at `index` has brought was served. */
  served(index: number): void {
    this.#served = index;
  }

  get looks(): boolean {
    return this.#credits[this.#served]! > 0 && this.#large === 0;
  }

  /** `paid`: something came meanwhile, and nobody else had the processor. */
  looked(paid: boolean): void {
    const index = this.#served;
    if (paid) {
      this.#credits[index] = LOOK_CREDIT;
      this.#doublings[index] = 0;
    } else if (--this.#credits[index]! === 0) {
      this.#sleeps[index] = 0;
      if (this.#doublings[index]! < DOUBLINGS_MAX) this.#doublings[index]!++;
    }
  }

  /** LOOK_BYTES_MAX or more were sent, or are received. */
  movedMuch(): void {
    this.#large = LOOK_LARGE_SLEEPS;
  }

  /** `ms`: until this thread ran again, which on some machines is mostly the time of its waking. */
  slept(ms: number): void {
    if (this.#large > 0) {
      this.#large--;
      return;
    }
    const index = this.#served;
    if (ms >= LOOK_SLEEP_MS || this.#credits[index]! > 0) return;
    const pause = LOOK_PAUSES_MIN << this.#doublings[index]!;
    if (++this.#sleeps[index]! >= pause) this.#credits[index] = 1;
  }
}
