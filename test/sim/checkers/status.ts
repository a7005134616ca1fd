import { STATUS_DESCRIPTOR_BYTES } from "../../../protocol/nbd/constants.ts";
import { RUN } from "../../../storage/io/allocation_runs.ts";
import { BLOCK_BYTES, type ConsumerRequest } from "../types.ts";

/** The blocks that an answer to BLOCK_STATUS says are zero; a text when it is no answer. */
export function zeroBlocksOf(request: ConsumerRequest, descriptors: Uint8Array): number[] | string {
  const view = new DataView(descriptors.buffer, descriptors.byteOffset, descriptors.length);
  const zeroes: number[] = [];
  const askedBytes = request.blockCount * BLOCK_BYTES;
  let at = 0;
  for (let i = 0; i < descriptors.length; i += STATUS_DESCRIPTOR_BYTES) {
    const [length, flags] = [view.getUint32(i), view.getUint32(i + 4)];
    if (length === 0) return `r${request.id} was answered by an empty run`;
    const end = at + length;
    if ((flags & RUN.zero) !== 0) {
      const last = Math.floor(Math.min(end, askedBytes) / BLOCK_BYTES);
      for (let block = Math.ceil(at / BLOCK_BYTES); block < last; block++) {
        zeroes.push(request.firstBlock + block);
      }
    }
    at = end;
  }
  if (at === 0 || at > askedBytes) {
    return `r${request.id} was told of ${at} bytes of the ${askedBytes} that it asked about`;
  }
  return zeroes;
}
