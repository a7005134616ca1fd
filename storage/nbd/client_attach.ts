import type { Generation } from "../../protocol/config/bodies.ts";
import { assert } from "../../protocol/core/assert.ts";
import {
  ATTACH_CHALLENGE_BYTES,
  type AttachAnswer,
  AttachClient,
  type AttachRefusal,
  attachRefusalOf,
  OPTION_ATTACH,
  OPTION_ATTACH_CHALLENGE,
} from "../../protocol/nbd/attach.ts";
import { type ClientEvent, ClientNegotiation } from "../../protocol/nbd/client_negotiation.ts";
import { NBD_ATTACH_OUTPUT_BYTES_MAX } from "../../protocol/core/limits.ts";
import { DegenerateKeyError, type KeyPair } from "../../protocol/noise/handshake.ts";
import { errnoName } from "../io/errno.ts";
import type { Handle, Io, Off, SocketAddress } from "../io/io.ts";
import { Operation } from "../io/operation.ts";

/** How an attaching ended. */
export type AttachOutcome =
  | { readonly kind: "attached"; readonly handle: Handle; readonly answer: AttachAnswer }
  | {
    readonly kind: "failed";
    /** What the unit answered, when it proved to speak our protocol; null otherwise. */
    readonly refusal: AttachRefusal | null;
    readonly reason: string;
  };

export interface UnitAttachOptions {
  readonly to: SocketAddress;
  readonly volumeId: string;
  readonly generation: Generation;
  /** Never used before. */
  readonly attachment: number;
  readonly host: KeyPair;
  readonly unitKey: Uint8Array;
  /** Fresh. */
  readonly ephemeral: KeyPair;
  /** NBD_ATTACH_OUTPUT_BYTES_MAX of the arena, the caller's again after the outcome. */
  readonly buffer: Off;
  /** For all of it, from the connect to GO's answer. */
  readonly timeoutMs: number;
}

/**
 * One try to attach a granted volume: connect, negotiate, prove ourselves and have the unit prove
 * itself, GO. `done` is called once, in a turn, when nothing of the try is under way any more; with
 * "attached" the handle is the caller's, and nothing was received behind GO's answer.
 */
export class UnitAttach {
  readonly #io: Io;
  readonly #options: UnitAttachOptions;
  readonly #done: (outcome: AttachOutcome) => void;
  readonly #negotiation = new ClientNegotiation();
  readonly #connectOperation = new Operation((operation) => this.#onConnected(operation.result));
  readonly #sendOperation = new Operation((operation) => this.#onSent(operation.result));
  readonly #receiveOperation = new Operation((operation) => this.#onReceived(operation));
  readonly #timerOperation = new Operation(() => this.#onTimer());
  #handle: Handle | null = null;
  #output: Uint8Array[] = [];
  #attach: AttachClient | null = null;
  #answer: AttachAnswer | null = null;
  #outcome: AttachOutcome | null = null;

  constructor(io: Io, options: UnitAttachOptions, done: (outcome: AttachOutcome) => void) {
    this.#io = io;
    this.#options = options;
    this.#done = done;
    io.timer(this.#timerOperation, options.timeoutMs);
    io.connectTcp(this.#connectOperation, options.to);
  }

  /** Ends the try as failed, unless it has ended. */
  abort(reason: string): void {
    this.#fail(reason);
  }

  #onConnected(result: number): void {
    if (result < 0) {
      this.#fail(`cannot connect: ${errnoName(result)}`);
      return this.#settle();
    }
    this.#handle = result;
    if (this.#outcome === null) this.#io.receive(this.#receiveOperation, result);
    this.#settle();
  }

  #onReceived(operation: Operation): void {
    if (operation.result > 0) {
      const { off, result } = operation;
      if (this.#outcome === null) this.#take(off, off + result);
      this.#io.buffers.release(off);
    } else if (operation.result === 0) {
      this.#fail("the unit closed the connection while attaching");
    } else {
      this.#fail(`receiving failed while attaching: ${errnoName(operation.result)}`);
    }
    if (this.#outcome === null) this.#io.receive(this.#receiveOperation, this.#handle!);
    this.#settle();
  }

  #take(from: Off, to: Off): void {
    let at = from;
    while (this.#outcome === null) {
      at = this.#negotiation.consume(this.#io.bytes, at, to);
      const event = this.#negotiation.event;
      if (event === null) break;
      // What comes behind an answer before the next question is not of this protocol.
      if (at < to) return this.#fail("the unit sent more than it was asked for");
      this.#act(event);
    }
    this.#send();
  }

  /** Asks for the next step after what happened. */
  #act(event: ClientEvent): void {
    switch (event.kind) {
      case "greeted":
        return this.#negotiation.option(OPTION_ATTACH_CHALLENGE);
      case "answered":
        return this.#takeAnswer(event);
      case "upgrade":
        return this.#fail("TLS was not asked for");
      case "ready": {
        const { sizeBytes } = event.info;
        const answer = this.#answer!;
        if (sizeBytes !== answer.sizeBytes) {
          return this.#fail(`the unit told two sizes: ${answer.sizeBytes} and ${sizeBytes} bytes`);
        }
        return this.#end({ kind: "attached", handle: this.#handle!, answer });
      }
      case "dropped":
        return this.#fail(event.reason);
    }
  }

  #takeAnswer(event: ClientEvent & { kind: "answered" }): void {
    const { error, option, replies } = event;
    if (error !== null) {
      const refusal = attachRefusalOf(error.type);
      const reason = `the unit refused: ${refusal ?? `error ${error.type}`}` +
        (error.text === "" ? "" : ` (${error.text})`);
      return this.#end({ kind: "failed", refusal, reason });
    }
    const reply = replies[0];
    if (replies.length !== 1 || reply === undefined || reply.type !== option) {
      return this.#fail("the unit's answer is not of the private option that was asked");
    }
    if (option === OPTION_ATTACH_CHALLENGE) return this.#prove(reply.payload);
    this.#answer = this.#attach!.readAnswer(reply.payload);
    if (this.#answer === null) return this.#fail("the unit could not prove that it is the one");
    this.#negotiation.go(this.#options.volumeId);
  }

  #prove(challenge: Uint8Array): void {
    if (challenge.length !== ATTACH_CHALLENGE_BYTES) {
      return this.#fail(`a challenge of ${challenge.length} bytes`);
    }
    this.#attach = new AttachClient(challenge, this.#options);
    try {
      this.#negotiation.option(OPTION_ATTACH, this.#attach.option());
    } catch (error) {
      if (!(error instanceof DegenerateKeyError)) throw error;
      this.#fail(error.message);
    }
  }

  #send(): void {
    this.#output.push(...this.#negotiation.takeOutput());
    if (this.#outcome !== null || this.#sendOperation.busy || this.#output.length === 0) return;
    let length = 0;
    for (const part of this.#output) {
      assert(length + part.length <= NBD_ATTACH_OUTPUT_BYTES_MAX, "what attaching sends is short");
      this.#io.bytes.set(part, this.#options.buffer + length);
      length += part.length;
    }
    this.#output = [];
    this.#io.send(this.#sendOperation, this.#handle!, this.#options.buffer, length);
  }

  #onSent(result: number): void {
    if (result < 0) this.#fail(`sending failed while attaching: ${errnoName(result)}`);
    this.#send();
    this.#settle();
  }

  #onTimer(): void {
    this.#fail(`the unit did not let us in within ${this.#options.timeoutMs} ms`);
    this.#settle();
  }

  #fail(reason: string): void {
    this.#end({ kind: "failed", refusal: null, reason });
  }

  #end(outcome: AttachOutcome): void {
    if (this.#outcome !== null) return;
    this.#outcome = outcome;
    this.#io.cancel(this.#timerOperation);
    this.#io.cancel(this.#connectOperation);
    if (outcome.kind === "failed" && this.#handle !== null) this.#io.shutdown(this.#handle);
  }

  /** At the end of every callback: tells the outcome once nothing is under way. */
  #settle(): void {
    const outcome = this.#outcome;
    if (outcome === null) return;
    if (this.#timerOperation.busy || this.#connectOperation.busy) return;
    if (this.#sendOperation.busy || this.#receiveOperation.busy) return;
    // A connect that came true although it was cancelled.
    if (outcome.kind === "failed" && this.#handle !== null) this.#io.close(this.#handle);
    this.#done(outcome);
  }
}
