import { ZERO_WRITE_BYTES } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import type { Messages } from "./messages.ts";
import type { Ring } from "./uring_ring.ts";
import { type Slot, SlotKind } from "./slot.ts";

const { Opcode } = abi;
const SEND_FLAGS = abi.MSG_NOSIGNAL | abi.MSG_WAITALL;

/** The addresses that submissions name. */
export interface EntryMemory {
  readonly arena: number;
  readonly messages: Messages;
  readonly fileDescriptors: Int32Array;
  readonly wakeFd: number;
  readonly wakeWord: number;
  readonly alarmTime: number;
  readonly zeroes: number;
}

/** Writes the submission for `slot`: the whole of its work, or what is left of it. */
export function fillEntry(ring: Ring, slot: Slot, memory: EntryMemory): void {
  const entries = ring.entries;
  const at = ring.next();
  entries[at + abi.SQE_FD] = memory.fileDescriptors[slot.handle]!;
  entries[at + abi.SQE_USER] = slot.index;
  switch (slot.kind) {
    case SlotKind.wake:
      entries[at] = Opcode.READ;
      entries[at + abi.SQE_FD] = memory.wakeFd;
      setLong(entries, at + abi.SQE_ADDRESS, memory.wakeWord);
      entries[at + abi.SQE_LENGTH] = 8;
      return;
    case SlotKind.alarm:
      entries[at] = Opcode.TIMEOUT;
      entries[at + abi.SQE_FD] = -1;
      setLong(entries, at + abi.SQE_ADDRESS, memory.alarmTime);
      entries[at + abi.SQE_LENGTH] = 1;
      entries[at + abi.SQE_FLAGS] = abi.TIMEOUT_ABSOLUTE;
      return;
    case SlotKind.accept:
      entries[at] = Opcode.ACCEPT;
      entries[at + abi.SQE_FLAGS] = abi.SOCK_CLOEXEC;
      return;
    case SlotKind.connect:
      entries[at] = Opcode.CONNECT;
      setLong(entries, at + abi.SQE_ADDRESS, memory.messages.addressOf(slot.handle));
      entries[at + abi.SQE_OFFSET] = slot.length;
      return;
    case SlotKind.receive:
      entries[at] = Opcode.RECV | abi.SQE_BUFFER_SELECT;
      if (slot.asksFirst) entries[at] |= abi.SQE_POLL_FIRST;
      entries[at + abi.SQE_LENGTH] = slot.length;
      entries[at + abi.SQE_FLAGS] = slot.flags;
      return;
    case SlotKind.sendGathered:
      entries[at] = Opcode.SENDMSG;
      setLong(entries, at + abi.SQE_ADDRESS, memory.messages.addressOf(slot.handle));
      entries[at + abi.SQE_LENGTH] = 1;
      entries[at + abi.SQE_FLAGS] = SEND_FLAGS;
      return;
    default:
      fillMemory(entries, at, slot, memory);
  }
}

/** The rest: what moves bytes of the arena, and what a medium does by itself. */
function fillMemory(entries: Int32Array, at: number, slot: Slot, memory: EntryMemory): void {
  const left = slot.length - slot.done;
  switch (slot.kind) {
    case SlotKind.receiveExactly:
      entries[at] = Opcode.RECV;
      entries[at + abi.SQE_FLAGS] = abi.MSG_WAITALL;
      break;
    case SlotKind.send:
      entries[at] = Opcode.SEND;
      entries[at + abi.SQE_FLAGS] = SEND_FLAGS;
      break;
    case SlotKind.read:
    case SlotKind.write:
      entries[at] = slot.kind === SlotKind.read ? Opcode.READ : Opcode.WRITE;
      entries[at + abi.SQE_FLAGS] = slot.flags;
      setLong(entries, at + abi.SQE_OFFSET, slot.position + slot.done);
      break;
    case SlotKind.zeroWrite:
      entries[at] = Opcode.WRITE;
      setLong(entries, at + abi.SQE_OFFSET, slot.position + slot.done);
      setLong(entries, at + abi.SQE_ADDRESS, memory.zeroes);
      entries[at + abi.SQE_LENGTH] = Math.min(left, ZERO_WRITE_BYTES);
      return;
    case SlotKind.advise:
      entries[at] = Opcode.FADVISE;
      setLong(entries, at + abi.SQE_OFFSET, slot.position);
      entries[at + abi.SQE_LENGTH] = slot.length;
      entries[at + abi.SQE_FLAGS] = slot.flags;
      return;
    case SlotKind.sync:
      entries[at] = Opcode.FSYNC;
      entries[at + abi.SQE_FLAGS] = abi.FSYNC_DATASYNC;
      return;
    default:
      entries[at] = Opcode.FALLOCATE;
      setLong(entries, at + abi.SQE_OFFSET, slot.position);
      setLong(entries, at + abi.SQE_ADDRESS, slot.length);
      entries[at + abi.SQE_LENGTH] = slot.flags;
      return;
  }
  setLong(entries, at + abi.SQE_ADDRESS, memory.arena + slot.off + slot.done);
  entries[at + abi.SQE_LENGTH] = left;
}

/** Cancels the operation whose user data is `target`. */
export function fillCancel(
  ring: Ring,
  what: { readonly target: number; readonly user: number },
): void {
  const entries = ring.entries;
  const at = ring.next();
  entries[at] = Opcode.ASYNC_CANCEL;
  entries[at + abi.SQE_FD] = -1;
  entries[at + abi.SQE_ADDRESS] = what.target;
  entries[at + abi.SQE_USER] = what.user;
}

/** A 64-bit field from a non-negative safe integer, low word first. */
function setLong(entries: Int32Array, at: number, value: number): void {
  entries[at] = value | 0;
  entries[at + 1] = (value / 2 ** 32) | 0;
}
