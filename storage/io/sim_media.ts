import { assert } from "../../protocol/core/assert.ts";
import { writeSimRuns } from "./allocation_runs.ts";
import { Errno } from "./errno.ts";
import type * as io from "./io.ts";
import type { Operation } from "./operation.ts";
import { SimBase } from "./sim_base.ts";
import { SimMedium } from "./sim_medium.ts";
import type { SimMediaCall } from "./sim_world.ts";

/** What of the simulated seam is done to media. */
export abstract class SimMediaIo extends SimBase {
  read(operation: Operation, handle: io.Handle, at: io.Transfer): void {
    const { off, length, position } = at;
    const bytes = this.bytes.subarray(off, off + length);
    this.#media(operation, handle, {
      ...{ kind: "read", position, length, fua: false, bytes },
      run: (medium) => medium.read(bytes, position),
    });
  }

  write(operation: Operation, handle: io.Handle, at: io.Transfer, fua: boolean): void {
    const { off, length, position } = at;
    const bytes = this.bytes.subarray(off, off + length);
    this.#media(operation, handle, {
      ...{ kind: "write", position, length, fua, bytes },
      run: (medium) => medium.write(bytes, position),
    });
  }

  isInMemory(handle: io.Handle): boolean {
    return this.#mediumAt(handle)?.inMemory === true;
  }

  readAtOnce(handle: io.Handle, at: io.Transfer): number {
    return this.#mediaAtOnce("read", handle, at);
  }

  writeAtOnce(handle: io.Handle, at: io.Transfer): number {
    return this.#mediaAtOnce("write", handle, at);
  }

  sync(operation: Operation, handle: io.Handle): void {
    this.#media(operation, handle, {
      ...{ kind: "sync", position: 0, length: 0, fua: false, bytes: null },
      run: () => 0,
    });
  }

  discard(operation: Operation, handle: io.Handle, position: number, length: number): void {
    this.#media(operation, handle, {
      ...{ kind: "discard", position, length, fua: false, bytes: null },
      run: (medium) => medium.zero(position, length),
    });
  }

  zero(operation: Operation, handle: io.Handle, at: io.ZeroRange): void {
    const { position, length } = at;
    if (at.fast && this.#mediumAt(handle)?.zeroesFast === false) {
      if (this.mediumOf(operation, handle) !== null) this.end(operation, -Errno.EOPNOTSUPP);
      return;
    }
    this.#media(operation, handle, {
      ...{ kind: "zero", position, length, fua: false, bytes: null },
      run: (medium) => medium.zero(position, length),
    });
  }

  readAhead(operation: Operation, handle: io.Handle, _position: number, _length: number): void {
    if (this.mediumOf(operation, handle) !== null) this.end(operation, 0);
  }

  dropCache(operation: Operation, handle: io.Handle): void {
    const medium = this.mediumOf(operation, handle);
    if (medium === null) return;
    const shown = medium.dropCache();
    this.world.schedule?.say(
      `${medium.path}: what is cached is dropped; old again: ${shown.words}`,
    );
    this.end(operation, 0);
  }

  allocation(operation: Operation, handle: io.Handle, at: io.AllocationQuery): void {
    const medium = this.mediumOf(operation, handle);
    if (medium !== null) this.end(operation, writeSimRuns(medium, this.view, at));
  }

  #mediaAtOnce(kind: "read" | "write", handle: io.Handle, at: io.Transfer): number {
    this.submitting(`a ${kind} at once`);
    const medium = this.#mediumAt(handle);
    if (medium === null) return -Errno.EBADF;
    assert(medium.inMemory, "only of a medium in memory nothing is waited for");
    if (kind === "write" && this.isReadOnly(this.handles.find(handle))) return -Errno.EBADF;
    const { off, length, position } = at;
    const bytes = this.bytes.subarray(off, off + length);
    const asked = { path: medium.path, kind, position, length, fua: false };
    const verdict = this.world.mediaFault(asked);
    assert(verdict !== "hold", "what is done inside a call cannot be held");
    if (verdict !== "ok") return verdict;
    const call = { ...asked, medium, bytes, end: () => {} };
    if (this.mediaCalls !== null) return this.mediaCalls.atOnce(call);
    return kind === "read" ? medium.read(bytes, position) : medium.write(bytes, position);
  }

  #mediumAt(handle: io.Handle): SimMedium | null {
    const index = this.isDead ? -1 : this.handles.find(handle);
    const object = index < 0 ? null : this.objects[index];
    return object instanceof SimMedium ? object : null;
  }

  #media(operation: Operation, handle: io.Handle, call: MediaRun): void {
    const index = this.begin(operation, handle, `a ${call.kind}`);
    if (index < 0) return;
    const medium = this.objects[index];
    if (!(medium instanceof SimMedium)) return this.end(operation, -Errno.EINVAL);
    const writes = call.kind !== "read" && call.kind !== "sync";
    if (writes && this.isReadOnly(index)) return this.end(operation, -Errno.EBADF);
    const { kind, position, length, fua } = call;
    const asked = { path: medium.path, kind, position, length, fua };
    const end = (result: number) => this.end(operation, result);
    const run = () => {
      if (this.isDead) return;
      if (this.mediaCalls === null) end(call.run(medium));
      else this.mediaCalls.submit({ ...asked, medium, bytes: call.bytes, end });
    };
    const verdict = this.world.mediaFault(asked);
    if (verdict === "hold") this.world.hold(run);
    else if (verdict === "ok") run();
    else this.end(operation, verdict);
  }
}

type MediaRun = Omit<SimMediaCall, "path"> & {
  readonly bytes: Uint8Array | null;
  readonly run: (medium: SimMedium) => number;
};
