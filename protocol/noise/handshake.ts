import { assert, defined } from "../core/assert.ts";
import { concat, utf8 } from "../core/bytes.ts";
import { SymmetricState, TAG_BYTES } from "./cipher.ts";
import { KEY_BYTES, type KeyPair, sharedSecret } from "./keys.ts";

export { type KeyPair, keyPairOf, nodeIdOf } from "./keys.ts";

/** The two patterns that dvsan uses (Noise §7.5). Both are done after two messages. */
export type Pattern = "IK" | "KK";

type Token = "e" | "s" | "ee" | "es" | "se" | "ss";

const MESSAGES: Record<Pattern, readonly [readonly Token[], readonly Token[]]> = {
  IK: [["e", "es", "s", "ss"], ["e", "ee", "se"]],
  KK: [["e", "es", "ss"], ["e", "ee", "se"]],
};

export interface HandshakeOptions {
  readonly pattern: Pattern;
  readonly initiator: boolean;
  readonly prologue: Uint8Array;
  readonly localStatic: KeyPair;
  /** Null only for a responder of IK, who learns it from message 1. */
  readonly remoteStatic: Uint8Array | null;
  /** Fresh for every handshake: `keyPairOf(random.bytes(32))`. */
  readonly ephemeral: KeyPair;
}

/**
 * One handshake, Noise_{IK,KK}_25519_AESGCM_SHA256 (noiseprotocol.org, revision 34). The initiator
 * writes and then reads, the responder reads and then writes; then both split. A message that is
 * not genuine leaves it as it was, so that a forged one cannot end somebody's handshake.
 */
export class Handshake {
  readonly #initiator: boolean;
  readonly #messages: readonly [readonly Token[], readonly Token[]];
  #state: SymmetricState;
  readonly #localStatic: KeyPair;
  readonly #ephemeral: KeyPair;
  #remoteStatic: Uint8Array | null;
  #remoteEphemeral: Uint8Array | null = null;
  #payloadHash: Uint8Array;
  #step = 0;
  #failed = false;

  constructor(o: HandshakeOptions) {
    this.#initiator = o.initiator;
    this.#messages = MESSAGES[o.pattern];
    this.#localStatic = o.localStatic;
    this.#ephemeral = o.ephemeral;
    this.#remoteStatic = o.remoteStatic;
    this.#state = new SymmetricState(utf8(`Noise_${o.pattern}_25519_AESGCM_SHA256`));
    this.#state.mixHash(o.prologue);
    // Pre-messages (Noise §5.3): the initiator's public keys first.
    const initiatorStatic = o.initiator ? o.localStatic.publicKey : o.remoteStatic;
    const responderStatic = o.initiator ? o.remoteStatic : o.localStatic.publicKey;
    if (o.pattern === "KK") this.#state.mixHash(known(initiatorStatic));
    this.#state.mixHash(known(responderStatic));
    this.#payloadHash = this.#state.hash;
  }

  /** The handshake hash so far; after both messages it names this session (Noise §11.2). */
  get hash(): Uint8Array {
    return this.#state.hash;
  }

  /**
   * The hash that the last message's payload was sealed under: it covers the prologue, both static
   * keys and all ephemeral keys so far, but not the payload. So a payload can hold a proof over it.
   */
  get payloadHash(): Uint8Array {
    return this.#payloadHash;
  }

  /** The peer's static public key, once it is known. */
  get remoteStatic(): Uint8Array | null {
    return this.#remoteStatic;
  }

  /** What a message holds besides its payload, in bytes. */
  static overheadBytes(o: { pattern: Pattern; message: 1 | 2 }): number {
    const hasStatic = MESSAGES[o.pattern][o.message - 1]!.includes("s");
    return KEY_BYTES + (hasStatic ? KEY_BYTES + TAG_BYTES : 0) + TAG_BYTES;
  }

  /**
   * The next message. A payload given as a function gets `payloadHash`. Throws DegenerateKeyError
   * when the peer's public key, which we were told beforehand, has no secret with anybody.
   */
  writeMessage(payload: Uint8Array | ((payloadHash: Uint8Array) => Uint8Array)): Uint8Array {
    const tokens = this.#turn(true);
    const parts: Uint8Array[] = [];
    for (const token of tokens) {
      if (token === "e") {
        this.#state.mixHash(this.#ephemeral.publicKey);
        parts.push(this.#ephemeral.publicKey);
      } else if (token === "s") {
        parts.push(this.#state.encryptAndHash(this.#localStatic.publicKey));
      } else if (!this.#mixSecret(token)) {
        this.#failed = true;
        throw new DegenerateKeyError();
      }
    }
    this.#payloadHash = this.#state.hash;
    const plaintext = typeof payload === "function" ? payload(this.#payloadHash) : payload;
    parts.push(this.#state.encryptAndHash(plaintext));
    return concat(...parts);
  }

  /** The payload of the peer's message, or null when it is not genuine: as if it never came. */
  readMessage(message: Uint8Array): Uint8Array | null {
    const before = {
      state: this.#state.clone(),
      remoteStatic: this.#remoteStatic,
      remoteEphemeral: this.#remoteEphemeral,
      payloadHash: this.#payloadHash,
    };
    const payload = this.#read(this.#turn(false), message);
    if (payload !== null) return payload;
    this.#step--;
    this.#state = before.state;
    this.#remoteStatic = before.remoteStatic;
    this.#remoteEphemeral = before.remoteEphemeral;
    this.#payloadHash = before.payloadHash;
    return null;
  }

  /** The session's keys for either direction, after both messages. */
  split(): { send: Uint8Array; receive: Uint8Array } {
    assert(this.#step === 2 && !this.#failed, "split() comes after both messages");
    const [first, second] = this.#state.split();
    return this.#initiator ? { send: first, receive: second } : { send: second, receive: first };
  }

  #read(tokens: readonly Token[], message: Uint8Array): Uint8Array | null {
    let at = 0;
    for (const token of tokens) {
      if (token === "e") {
        if (message.length < at + KEY_BYTES) return null;
        this.#remoteEphemeral = message.slice(at, at + KEY_BYTES);
        this.#state.mixHash(this.#remoteEphemeral);
        at += KEY_BYTES;
      } else if (token === "s") {
        const end = at + KEY_BYTES + TAG_BYTES;
        if (message.length < end) return null;
        this.#remoteStatic = this.#state.decryptAndHash(message.subarray(at, end));
        if (this.#remoteStatic === null) return null;
        at = end;
      } else if (!this.#mixSecret(token)) {
        return null;
      }
    }
    this.#payloadHash = this.#state.hash;
    return this.#state.decryptAndHash(message.subarray(at));
  }

  #mixSecret(token: Exclude<Token, "e" | "s">): boolean {
    // The first letter is the initiator's key, the second the responder's (Noise §5.3).
    const mine = this.#initiator ? token[0] : token[1];
    const theirs = this.#initiator ? token[1] : token[0];
    const privateKey = (mine === "e" ? this.#ephemeral : this.#localStatic).privateKey;
    const publicKey = theirs === "e" ? this.#remoteEphemeral : this.#remoteStatic;
    const secret = sharedSecret(privateKey, known(publicKey));
    if (secret === null) return false;
    this.#state.mixKey(secret);
    return true;
  }

  #turn(writing: boolean): readonly Token[] {
    assert(!this.#failed, "a failed handshake is over");
    const tokens = this.#messages[this.#step];
    const writerIsInitiator = this.#step === 0;
    assert(
      tokens !== undefined && writing === (this.#initiator === writerIsInitiator),
      writing ? "it is not our turn to write" : "it is not our turn to read",
    );
    this.#step++;
    return tokens;
  }
}

/** The peer's public key, which we were told before, is a point that no secret can be had with. */
export class DegenerateKeyError extends Error {
  override readonly name = "DegenerateKeyError";

  constructor() {
    super("Cannot agree on keys: the peer's public key is not a usable X25519 key");
  }
}

function known(key: Uint8Array | null): Uint8Array {
  const bytes = defined(key, "the pattern needs this public key beforehand");
  assert(bytes.length === KEY_BYTES, "an X25519 public key is 32 bytes");
  return bytes;
}
