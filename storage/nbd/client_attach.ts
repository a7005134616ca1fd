import { assert, defined } from "../../protocol/core/assert.ts";
import { concat } from "../../protocol/core/bytes.ts";
import {
  ATTACH_CHALLENGE_BYTES,
  type AttachAnswer,
  AttachClient,
  attachRefusalOf,
  OPTION_ATTACH,
  OPTION_ATTACH_CHALLENGE,
  outrunBy,
} from "../../protocol/nbd/attach.ts";
import { type ClientEvent, ClientNegotiation } from "../../protocol/nbd/client_negotiation.ts";
import { NBD_ATTACH_OUTPUT_BYTES_MAX } from "../../protocol/core/limits.ts";
import { OPTION, REPLY } from "../../protocol/nbd/constants.ts";
import {
  BASE_ALLOCATION,
  decodeMetaContext,
  encodeMetaContextRequest,
} from "../../protocol/nbd/meta_contexts.ts";
import type { TlsPolicy } from "../../protocol/nbd/server_options.ts";
import { DegenerateKeyError } from "../../protocol/noise/handshake.ts";
import { errnoName } from "../io/errno.ts";
import type { Handle, Io, Off } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { decodeVerdict } from "../tls/verdict.ts";
import type { AttachOutcome, UnitAttachOptions } from "./client_attach_types.ts";

const TOO_MUCH = "the unit sent more than it was asked for";

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
  #local = "";
  #output: Uint8Array[] = [];
  /** STARTTLS was acknowledged; the socket is handed over once nothing is under way on it. */
  #upgrading = false;
  /** What was received of the TLS worker's verdict, while it is awaited. */
  #verdict: Uint8Array | null = null;
  #attach: AttachClient | null = null;
  #answer: AttachAnswer | null = null;
  #structuredReplies = false;
  #allocationId: number | null = null;
  #outcome: AttachOutcome | null = null;

  constructor(io: Io, options: UnitAttachOptions, done: (outcome: AttachOutcome) => void) {
    this.#io = io;
    this.#options = options;
    this.#done = done;
    io.timer(this.#timerOperation, options.timeoutMs);
    io.connectTcp(this.#connectOperation, options.to);
  }

  /** This machine's address that it comes from; empty until it is connected. */
  get localAddress(): string {
    return this.#local;
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
    this.#local = this.#io.localAddress(result).address;
    if (this.#outcome === null) this.#io.receive(this.#receiveOperation, result);
    this.#settle();
  }

  #onReceived(operation: Operation): void {
    if (operation.result > 0) {
      const { off, result } = operation;
      if (this.#outcome === null) this.#received(off, off + result);
      this.#io.buffers.release(off);
    } else if (operation.result === 0) {
      this.#fail("the unit closed the connection while attaching");
    } else {
      this.#fail(`receiving failed while attaching: ${errnoName(operation.result)}`);
    }
    if (this.#upgrading) this.#upgrade();
    else if (this.#outcome === null) this.#io.receive(this.#receiveOperation, this.#handle!);
    this.#settle();
  }

  #received(from: Off, to: Off): void {
    if (this.#verdict === null) return this.#take(from, to);
    this.#verdict = concat(this.#verdict, this.#io.bytes.subarray(from, to));
    const verdict = decodeVerdict(this.#verdict);
    if (verdict.kind === "incomplete") return;
    if (verdict.kind === "failed") return this.#fail(`TLS failed: ${verdict.reason}`);
    if (verdict.end < this.#verdict.length) return this.#fail(TOO_MUCH);
    this.#verdict = null;
    this.#begin();
    this.#send();
  }

  #take(from: Off, to: Off): void {
    let at = from;
    while (this.#outcome === null) {
      at = this.#negotiation.consume(this.#io.bytes, at, to);
      const event = this.#negotiation.event;
      if (event === null) break;
      // What comes behind an answer before the next question is not of this protocol.
      if (at < to) return this.#fail(TOO_MUCH);
      this.#act(event);
      if (this.#upgrading) return;
    }
    this.#send();
  }

  /** Asks for the next step after what happened. */
  #act(event: ClientEvent): void {
    switch (event.kind) {
      case "greeted":
        if (this.#policy === "off") return this.#begin();
        return this.#negotiation.startTls();
      case "answered":
        return this.#takeAnswer(event);
      case "upgrade":
        this.#upgrading = true;
        return;
      case "ready": {
        const { sizeBytes } = event.info;
        const answer = this.#answer!;
        if (sizeBytes !== answer.sizeBytes) {
          return this.#fail(`the unit told two sizes: ${answer.sizeBytes} and ${sizeBytes} bytes`);
        }
        const terms = {
          flags: event.info.flags,
          structuredReplies: this.#structuredReplies,
          allocationId: this.#allocationId,
        };
        const served = { info: event.info, terms };
        return this.#end({ kind: "attached", handle: this.#handle!, answer, served });
      }
      case "dropped":
        return this.#fail(event.reason);
    }
  }

  #takeAnswer(event: ClientEvent & { kind: "answered" }): void {
    const { error, option, replies } = event;
    if (option === OPTION.startTls) return this.#startTlsRefused();
    // Units that do not know these two serve all the same.
    if (option === OPTION.structuredReply) {
      this.#structuredReplies = error === null;
      return this.#negotiation.option(OPTION_ATTACH_CHALLENGE);
    }
    if (option === OPTION.setMetaContext) {
      this.#allocationId = error === null ? allocationIdOf(replies) : null;
      return this.#negotiation.go(this.#options.volumeId);
    }
    if (error !== null) {
      const refusal = attachRefusalOf(error.type);
      const reason = `the unit refused: ${refusal ?? `error ${error.type}`}` +
        (error.text === "" ? "" : ` (${error.text})`);
      const outrun = refusal === "superseded" ? outrunBy(error.text) : null;
      return this.#end({ kind: "failed", refusal, reason, outrunBy: outrun });
    }
    const reply = replies[0];
    if (replies.length !== 1 || reply === undefined || reply.type !== option) {
      return this.#fail("the unit's answer is not of the private option that was asked");
    }
    if (option === OPTION_ATTACH_CHALLENGE) return this.#prove(reply.payload);
    this.#answer = this.#attach!.readAnswer(reply.payload);
    if (this.#answer === null) return this.#fail("the unit could not prove that it is the one");
    this.#askForAllocation();
  }

  get #policy(): TlsPolicy {
    return this.#options.tls?.door.policy ?? "off";
  }

  #startTlsRefused(): void {
    if (this.#policy === "allow") return this.#begin();
    this.#fail("the unit has no TLS, which this host requires; start the unit with --tls allow");
  }

  /** Puts TLS in the socket's place. */
  #upgrade(): void {
    if (this.#outcome !== null || this.#sendOperation.busy || this.#receiveOperation.busy) return;
    this.#upgrading = false;
    const { door, unitUri: uri } = defined(this.#options.tls, "TLS is asked for where it may be");
    const plain = door.secure(this.#handle!, { side: "client", uri });
    if (plain < 0) return this.#fail(`TLS has no socket pair: ${errnoName(plain)}`);
    this.#handle = plain;
    this.#verdict = new Uint8Array();
    this.#io.receive(this.#receiveOperation, plain);
  }

  /** The first option, on a connection that is as secure as it will be. */
  #begin(): void {
    this.#negotiation.option(OPTION.structuredReply);
  }

  #askForAllocation(): void {
    const name = this.#options.volumeId;
    if (!this.#structuredReplies) return this.#negotiation.go(name);
    const data = encodeMetaContextRequest({ name, queries: [BASE_ALLOCATION] });
    this.#negotiation.option(OPTION.setMetaContext, data);
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
    if (this.#upgrading) this.#upgrade();
    this.#settle();
  }

  #onTimer(): void {
    this.#fail(`the unit did not let us in within ${this.#options.timeoutMs} ms`);
    this.#settle();
  }

  #fail(reason: string): void {
    this.#end({ kind: "failed", refusal: null, reason, outrunBy: null });
  }

  #end(outcome: AttachOutcome): void {
    if (this.#outcome !== null) return;
    this.#outcome = outcome;
    this.#io.cancel(this.#timerOperation);
    this.#io.cancel(this.#connectOperation);
    if (outcome.kind === "attached" || this.#handle === null) return;
    this.#io.shutdown(this.#handle);
    this.#options.tls?.door.ended(this.#handle);
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

/** The id under which a unit tells how its blocks are allocated; null: it does not. */
function allocationIdOf(replies: readonly { type: number; payload: Uint8Array }[]): number | null {
  for (const { type, payload } of replies) {
    if (type !== REPLY.metaContext) continue;
    const context = decodeMetaContext(payload);
    if (typeof context === "object" && context.name === BASE_ALLOCATION) return context.id;
  }
  return null;
}
