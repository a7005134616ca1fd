const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** The lowest bit of the magic says in which order its checksums take bytes. */
const MAGIC = 0x377f0682;

/**
 * The newest version of each page in a write-ahead log, by number, as far as its checksums are
 * right and a commit ends them (https://sqlite.org/fileformat2.html, 4). Empty when it is no log of
 * such pages. SQLite reads a log only beside a file whose header it understands.
 */
export function pagesOfLog(log: Uint8Array, pageBytes: number): Map<number, Uint8Array> {
  const committed = new Map<number, Uint8Array>();
  if (log.length < HEADER_BYTES) return committed;
  const view = new DataView(log.buffer, log.byteOffset, log.length);
  const isBigEndian = view.getUint32(0) === MAGIC + 1;
  if (!isBigEndian && view.getUint32(0) !== MAGIC) return committed;
  if (view.getUint32(8) !== pageBytes) return committed;
  const salt = view.getBigUint64(16);
  const sums: [number, number] = [0, 0];
  const add = (start: number, end: number) => {
    for (let at = start; at < end; at += 8) {
      sums[0] = (sums[0] + view.getUint32(at, !isBigEndian) + sums[1]) >>> 0;
      sums[1] = (sums[1] + view.getUint32(at + 4, !isBigEndian) + sums[0]) >>> 0;
    }
  };
  const areRight = (at: number) =>
    view.getUint32(at) === sums[0] && view.getUint32(at + 4) === sums[1];
  add(0, HEADER_BYTES - 8);
  if (!areRight(HEADER_BYTES - 8)) return committed;
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  const waiting = new Map<number, Uint8Array>();
  for (let at = HEADER_BYTES; at + frameBytes <= log.length; at += frameBytes) {
    if (view.getBigUint64(at + 8) !== salt) break;
    add(at, at + 8);
    add(at + FRAME_HEADER_BYTES, at + frameBytes);
    if (!areRight(at + 16)) break;
    waiting.set(view.getUint32(at), log.subarray(at + FRAME_HEADER_BYTES, at + frameBytes));
    const isCommit = view.getUint32(at + 4) > 0;
    if (!isCommit) continue;
    for (const [number, page] of waiting) committed.set(number, page);
    waiting.clear();
  }
  return committed;
}
