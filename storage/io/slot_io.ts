import { assert } from "../../protocol/core/assert.ts";
import { IO_OPERATIONS_MAX } from "../../protocol/core/limits.ts";
import { Errno } from "./errno.ts";
import type { Handle } from "./io.ts";
import { KernelIo, type KernelIoOptions } from "./kernel_io.ts";
import { Messages } from "./messages.ts";
import type { Operation } from "./operation.ts";
import { Slot, SlotKind, SlotQueue } from "./slot.ts";

/** A KernelIo whose operations under way each have a slot, made once and used again. */
export abstract class SlotIo extends KernelIo {
  protected readonly messages: Messages;
  protected readonly slots: Slot[] = [];
  protected slotsInUse = 0;
  readonly #free = new SlotQueue();

  constructor(options: KernelIoOptions) {
    super(options);
    this.messages = new Messages(this.libc, this.arena.address);
  }

  protected override giveBack(): void {
    this.messages.close();
    super.giveBack();
  }

  /** A slot for an operation on a live handle; null when the handle is not, and -EBADF follows. */
  protected start(operation: Operation, handle: Handle, kind: number): Slot | null {
    this.begin(operation);
    const index = this.handles.find(handle);
    if (index < 0) {
      this.completions.push(operation, -Errno.EBADF);
      return null;
    }
    const slot = this.takeSlot(kind);
    slot.operation = operation;
    slot.handle = index;
    operation.ioSlot = slot.index;
    this.handles.underWay[index]!++;
    return slot;
  }

  protected takeSlot(kind: number): Slot {
    let slot = this.#free.shift();
    if (slot === null) {
      assert(this.slots.length < IO_OPERATIONS_MAX, "too many operations under way");
      slot = new Slot(this.slots.length);
      this.slots.push(slot);
    }
    slot.begin(kind);
    this.slotsInUse++;
    return slot;
  }

  protected claim(directions: Uint8Array, slot: Slot): void {
    assert(directions[slot.handle] === 0, "a stream has one receive and one send under way");
    directions[slot.handle] = 1;
  }

  /** Queues the operation's result and gives the slot back. */
  protected finishSlot(slot: Slot, result: number): void {
    const operation = slot.operation!;
    const { kind, handle } = slot;
    if (kind === SlotKind.receive || kind === SlotKind.receiveExactly) {
      this.handles.receiving[handle] = 0;
    } else if (kind === SlotKind.send || kind === SlotKind.sendGathered) {
      this.handles.sending[handle] = 0;
    }
    slot.operation = null;
    slot.kind = SlotKind.free;
    this.#free.push(slot);
    this.slotsInUse--;
    operation.ioSlot = -1;
    this.completions.push(operation, result);
    this.ended(handle);
  }
}
