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
    const isSend = slot.kind === SlotKind.send || slot.kind === SlotKind.sendGathered;
    this.#giveSlotBack(slot);
    // A stream whose send has ended can take the next one before more is read for it.
    if (isSend) this.completions.pushFirst(operation, result);
    else this.completions.push(operation, result);
  }

  /** The transfer is done directly before its operation's `done`, by `copyNow`. */
  protected finishLate(slot: Slot): void {
    this.completions.pushLate(slot.operation!);
  }

  protected override performLate(operation: Operation): number {
    const slot = this.slots[operation.ioSlot]!;
    const result = this.copyNow(slot);
    this.#giveSlotBack(slot);
    return result;
  }

  /** Moves the bytes of a read or write of a medium, and answers their count or an errno. */
  protected abstract copyNow(slot: Slot): number;

  #giveSlotBack(slot: Slot): void {
    const { kind, handle } = slot;
    if (kind === SlotKind.receive || kind === SlotKind.receiveExactly) {
      this.handles.receiving[handle] = 0;
    } else if (kind === SlotKind.send || kind === SlotKind.sendGathered) {
      this.handles.sending[handle] = 0;
    }
    slot.operation!.ioSlot = -1;
    slot.operation = null;
    slot.kind = SlotKind.free;
    this.#free.push(slot);
    this.slotsInUse--;
    this.ended(handle);
  }
}
