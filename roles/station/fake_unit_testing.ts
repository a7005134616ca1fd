import { isDeepStrictEqual } from "node:util";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB, MIB, VOLUME_HEADER_BYTES } from "../../protocol/core/limits.ts";
import type {
  AccessGrant,
  AccessRevoke,
  NodeHello,
  StorageInfo,
  VolumeCreate,
  VolumeDelete,
  VolumeInfo,
  VolumeResize,
} from "../../protocol/config/bodies.ts";
import { compareGenerations } from "../../protocol/config/bodies.ts";
import type { AnswerBody, RequestBody, RequestName } from "../../protocol/config/requests.ts";
import { keyPairOf, nodeIdOf } from "../../protocol/noise/keys.ts";
import { allocatedBytesOf } from "./allocation.ts";
import { type FakeNode, helloOf } from "./fake_world_testing.ts";

type Change = VolumeCreate | VolumeResize | VolumeDelete | AccessGrant | AccessRevoke;

/** A unit that keeps the rules of control.md §3 and §4, in memory. */
export class FakeUnit implements FakeNode {
  readonly publicKey: Uint8Array;
  readonly id: string;
  readonly hello: NodeHello;
  readonly volumes = new Map<string, VolumeInfo>();
  readonly sizeBytes: number;
  /** Size of each volume's grant. */
  readonly granted = new Map<string, number>();
  zeroed = true;
  epoch = 0;
  instance = "";
  revision = 1;
  /** Requests that are refused, with what. */
  readonly refuse = new Map<RequestName, DvsanError>();
  readonly #mediumId: string;
  #numbers = 0;

  constructor(name: string, options: { seed: number; gib: number; spare?: boolean }) {
    this.publicKey = keyPairOf(new Uint8Array(32).fill(options.seed)).publicKey;
    this.id = nodeIdOf(this.publicKey);
    this.hello = { ...helloOf("unit", name), spare: options.spare ?? false };
    this.sizeBytes = options.gib * GIB;
    this.#mediumId = `00000000-0000-4000-8000-${String(options.seed).padStart(12, "0")}`;
  }

  answer<N extends RequestName>(name: N, body: RequestBody<N>): Promise<AnswerBody<N>> {
    try {
      const refusal = this.refuse.get(name);
      if (refusal !== undefined) throw refusal;
      const answer = name === "NEED_STORAGE_INFO"
        ? this.info()
        : { volume: this.#change(name, body as Change) };
      return Promise.resolve(structuredClone(answer) as AnswerBody<N>);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  info(): StorageInfo {
    const used = [...this.volumes.values()].reduce((sum, each) => sum + each.allocatedBytes, 0);
    const freeBytes = this.sizeBytes - used;
    return {
      revision: this.revision,
      epoch: this.epoch,
      instance: this.instance,
      media: [{
        id: this.#mediumId,
        path: `/dev/${this.hello.name}`,
        sizeBytes: this.sizeBytes,
        freeBytes,
        zeroedBytes: this.zeroed ? freeBytes : 0,
        largestVolumeBytes: Math.max(0, freeBytes - VOLUME_HEADER_BYTES),
        state: "ok",
        sequence: 1,
        errors: 0,
      }],
      volumes: [...this.volumes.values()],
    };
  }

  /** Zeroing is through. */
  finishZeroing(): void {
    for (const volume of this.volumes.values()) {
      this.#put({ ...volume, state: "ready", zeroedBytes: volume.allocatedBytes });
    }
  }

  #change(name: RequestName, body: Change): VolumeInfo | null {
    const { epoch, instance } = body.station;
    const stale = epoch < this.epoch || (epoch === this.epoch && instance !== this.instance);
    if (stale) throw new DvsanError("stale-epoch", `epoch ${epoch} is not above ${this.epoch}`);
    this.epoch = epoch;
    this.instance = instance;
    this.revision++;
    const held = this.volumes.get(body.volumeId);
    if (name === "VOLUME_CREATE") return held ?? this.#create(body as VolumeCreate);
    if (held === undefined) {
      if (name === "VOLUME_DELETE") return null;
      throw new DvsanError("unknown", "no such volume");
    }
    if (held.sequence !== body.expectedSequence) {
      throw new DvsanError("sequence-mismatch", `its sequence is ${held.sequence}`);
    }
    switch (name) {
      case "VOLUME_RESIZE":
        return this.#resize(held, body as VolumeResize);
      case "VOLUME_DELETE":
        if (held.grant?.state === "active") throw new DvsanError("busy", "a grant is active");
        this.volumes.delete(held.id);
        return null;
      case "ACCESS_GRANT":
        return this.#grant(held, body as AccessGrant);
      default:
        return this.#put({
          ...held,
          grant: {
            ...defined(held.grant, "a grant to revoke"),
            state: "fenced",
            fencedThrough: (body as AccessRevoke).generation,
          },
        });
    }
  }

  #create({ volumeId: id, sizeBytes, leg }: VolumeCreate): VolumeInfo {
    const allocatedBytes = this.#take(allocatedBytesOf(sizeBytes));
    return this.#put({
      id,
      number: ++this.#numbers,
      sizeBytes,
      startLba: this.#numbers * 1_000_000,
      endLba: this.#numbers * 1_000_000 + sizeBytes / 512 - 1,
      media: [this.#mediumId],
      sequence: 0,
      state: this.zeroed ? "ready" : "zeroing",
      zeroedBytes: this.zeroed ? allocatedBytes : MIB,
      allocatedBytes,
      leg,
      grant: null,
    });
  }

  #resize(held: VolumeInfo, { sizeBytes, leg }: VolumeResize): VolumeInfo {
    const allocatedBytes = allocatedBytesOf(sizeBytes);
    this.#take(allocatedBytes - held.allocatedBytes);
    const zeroedBytes = this.zeroed ? allocatedBytes : held.zeroedBytes;
    const endLba = held.startLba + sizeBytes / 512 - 1;
    const state = this.zeroed ? "ready" : "zeroing";
    return this.#put({ ...held, sizeBytes, endLba, allocatedBytes, zeroedBytes, state, leg });
  }

  #grant(held: VolumeInfo, body: AccessGrant): VolumeInfo {
    if (held.state !== "ready") throw new DvsanError("not-zeroed", "not zeroed yet");
    const order = held.grant === null
      ? 1
      : compareGenerations(body.generation, held.grant.generation);
    const isOther = !isDeepStrictEqual(held.grant?.direct, body.direct);
    const fenced = held.grant?.fencedThrough ?? { epoch: 0, counter: 0 };
    const isFenced = compareGenerations(body.generation, fenced) <= 0;
    if (isFenced || order < 0 || (order === 0 && isOther)) {
      throw new DvsanError("stale-generation", "a newer grant is there, or another");
    }
    if (body.sizeBytes !== held.sizeBytes) throw new DvsanError("invalid", "another size");
    this.granted.set(held.id, body.sizeBytes);
    const { generation, hostId, hostKey, sizeBytes, direct } = body;
    const grant = { generation, hostId, hostKey, sizeBytes, state: "active" as const };
    return this.#put({ ...held, grant: direct === undefined ? grant : { ...grant, direct } });
  }

  #take(bytes: number): number {
    if (bytes > defined(this.info().media[0], "a medium").freeBytes) {
      throw new DvsanError("no-space", "the medium is full");
    }
    return bytes;
  }

  #put(volume: VolumeInfo): VolumeInfo {
    const next = { ...volume, sequence: volume.sequence + 1 };
    this.volumes.set(next.id, next);
    this.revision++;
    return next;
  }
}
