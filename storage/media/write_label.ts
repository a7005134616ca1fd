import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { type Copy, copyBStart, encodeCopies, SECTOR_BYTES } from "../../protocol/label/codec.ts";
import type { Label } from "../../protocol/label/label.ts";
import type { MediumFile } from "./medium_file.ts";

/**
 * Copy A, flush, copy B, flush. Returns how copy B begins. `found`: the label that both copies had
 * when they were read. Its copy B goes first, again: a process whose last flush failed, and that
 * was killed then, leaves it in the cache, where it is read and is never written from; a power cut
 * behind the new copy A would leave two copies that no crash does.
 */
export async function writeLabel(
  file: MediumFile,
  label: Label,
  found: Label | null = null,
): Promise<Uint8Array> {
  assert(file.sizeBytes >= label.sizeBytes, "a label larger than its medium");
  if (found !== null) {
    await file.write(copyBStart(found.sizeBytes), encodeCopies(found).B);
    await syncLabel(file);
  }
  const copies = encodeCopies(label);
  await file.write(0, copies.A);
  await syncLabel(file);
  await file.write(copyBStart(label.sizeBytes), copies.B);
  await syncLabel(file);
  return copies.B.slice(0, SECTOR_BYTES);
}

/** Told apart from a failed write, since only a sync loses what was written before. */
export class FailedSync extends DvsanError {}

async function syncLabel(file: MediumFile): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    throw new FailedSync(error.code, error.message, { cause: error });
  }
}

/** Some of the label's two copies, each durable before the next one, and all when it resolves. */
export async function writeCopies(
  file: MediumFile,
  label: Label,
  copies: readonly Copy[],
): Promise<void> {
  for (const copy of copies) {
    await file.write(copy === "A" ? 0 : copyBStart(label.sizeBytes), encodeCopies(label)[copy]);
    await syncLabel(file);
  }
}
