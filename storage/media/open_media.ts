import { createHash } from "node:crypto";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { randomUuid } from "../../protocol/core/random.ts";
import {
  LABEL_REGION_BYTES,
  MEDIUM_SIZE_BYTES_MAX,
  MEDIUM_SIZE_BYTES_MIN,
  MIB,
} from "../../protocol/core/limits.ts";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { copyBStart, decodeCopy, encodeCopies } from "../../protocol/label/codec.ts";
import { isZero, judgeCopies, type Judgement } from "../../protocol/label/judge.ts";
import type { Label } from "../../protocol/label/label.ts";
import { adoptedLabel } from "./adopt_label.ts";
import { findContent, wipe } from "./detect.ts";
import { writeLabel } from "./medium.ts";
import type { MediumFile, MediumSource } from "./medium_file.ts";
import type { RefusedMedium, UnitStoreOptions } from "./store_types.ts";

/** What became of every path that a unit was told to use. */
export interface OpenedMedia {
  readonly ok: readonly { readonly file: MediumFile; readonly label: Label }[];
  /** Known to be media, reported and not served; their files are closed. */
  readonly reported: readonly MediumInfo[];
  readonly refused: readonly RefusedMedium[];
}

type Opened =
  | { readonly kind: "ok"; readonly file: MediumFile; readonly label: Label }
  | { readonly kind: "reported"; readonly info: MediumInfo }
  /** Would be reported, but an operator has this unit take it over. */
  | {
    readonly kind: "adopted";
    readonly file: MediumFile;
    readonly label: Label;
    readonly isOurs: boolean;
  }
  | { readonly kind: "refused"; readonly path: string; readonly error: DvsanError };

/** Opens, recovers or labels each source. A fault of one never rejects the whole. */
export async function openMedia(
  sources: readonly MediumSource[],
  options: UnitStoreOptions,
): Promise<OpenedMedia> {
  const opened: Opened[] = [];
  for (const source of sources) opened.push(await openOne(source, options));
  // Of two copies with one UUID the newer label is served; of equal ones the first named.
  const served = new Map<string, { file: MediumFile; label: Label }>();
  const reported: MediumInfo[] = [];
  const refused: RefusedMedium[] = [];
  for (const one of opened) {
    if (one.kind === "adopted") continue;
    if (one.kind === "reported") reported.push(one.info);
    else if (one.kind === "refused") {
      refused.push({ path: one.path, error: one.error });
      reported.push(refusedInfo(one));
    } else {
      const { file, label } = one;
      const rival = served.get(label.mediumId);
      const newer = rival === undefined || label.sequence > rival.label.sequence;
      if (newer) served.set(label.mediumId, { file, label });
      const loser = rival === undefined ? null : newer ? rival : { file, label };
      if (loser === null) continue;
      const winner = newer ? file.path : rival!.file.path;
      reported.push(infoOf(loser.file, {
        state: "duplicate",
        id: label.mediumId,
        sequence: loser.label.sequence,
        reason: `${winner} has the same medium id and is served; this one is a copy`,
      }));
      await loser.file.close();
    }
  }
  for (const one of opened) {
    if (one.kind !== "adopted") continue;
    const labels = [...served.values()].map(({ label }) => label);
    const result = await takeOver(one, { labels, options });
    if ("info" in result) reported.push(result.info);
    else served.set(result.label.mediumId, { file: one.file, label: result.label });
  }
  return { ok: [...served.values()], reported, refused };
}

/** Relabels a medium for this unit; reported as failed when that cannot be written. */
async function takeOver(
  { file, label, isOurs }: Extract<Opened, { kind: "adopted" }>,
  { labels, options }: { readonly labels: readonly Label[]; readonly options: UnitStoreOptions },
): Promise<{ readonly label: Label } | { readonly info: MediumInfo }> {
  const about = { id: label.mediumId, sequence: label.sequence };
  const report = (state: MediumInfo["state"], reason: string) => {
    return { info: infoOf(file, { ...about, state, reason }) };
  };
  if (labels.some((other) => other.mediumId === label.mediumId)) {
    await file.close();
    return report("duplicate", "a medium of the same id is served; this one is a copy");
  }
  const adopted = adoptedLabel(label, { unit: options, others: labels, isOurs });
  try {
    await writeLabel(file, adopted);
  } catch (error) {
    await file.close();
    if (!(error instanceof DvsanError)) throw error;
    return report("failed", `writing its label failed: ${messageOf(error)}`);
  }
  options.log.warn("took a medium over, as an operator asked", {
    path: file.path,
    medium: label.mediumId,
    from: label.unitId,
  });
  return { label: adopted };
}

async function openOne(source: MediumSource, options: UnitStoreOptions): Promise<Opened> {
  let file: MediumFile;
  try {
    file = await source.open();
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    return { kind: "refused", path: source.path, error };
  }
  try {
    const result = await examine(file, source, options);
    if (result.kind !== "ok" && result.kind !== "adopted") await file.close();
    return result;
  } catch (error) {
    await file.close();
    if (!(error instanceof DvsanError)) throw error;
    return { kind: "refused", path: source.path, error };
  }
}

async function examine(
  file: MediumFile,
  source: MediumSource,
  options: UnitStoreOptions,
): Promise<Opened> {
  if (file.sizeBytes < MEDIUM_SIZE_BYTES_MIN || file.sizeBytes > MEDIUM_SIZE_BYTES_MAX) {
    throw new DvsanError(
      "invalid",
      `Cannot use ${file.path}: it has ${file.sizeBytes} bytes, a medium needs ` +
        `${MEDIUM_SIZE_BYTES_MIN / MIB} MiB to ${MEDIUM_SIZE_BYTES_MAX / MIB} MiB.`,
    );
  }
  const { judgement, regionA } = await readCopies(file);
  if (judgement.kind === "label" || judgement.kind === "quarantined") {
    const known = await accept(file, judgement, options);
    // Also one whose label is damaged beyond reading: --wipe may stand there since the first start.
    const ours = judgement.label?.unitId === options.unitId || isKnown(judgement, options);
    if (known.kind === "ok" || known.kind === "adopted" || ours || !source.wipe) return known;
    options.log.warn("wiping a medium of somebody else, as asked", { path: file.path });
    await wipe(file);
    return await labelFresh(file, options);
  }
  const interrupted = judgement.kind === "blank" && !isZero(regionA);
  const content = await findContent(file, interrupted ? LABEL_REGION_BYTES : 0);
  if (content !== null) {
    if (!source.wipe) {
      throw new DvsanError(
        "foreign",
        `Cannot use ${file.path}: it holds ${content}. If that may be destroyed, ` +
          `add --wipe ${file.path}.`,
        { details: { content } },
      );
    }
    options.log.warn("wiping, as asked", { path: file.path, content });
    await wipe(file);
  } else if (interrupted) {
    options.log.info("a first labelling was interrupted; labelling anew", { path: file.path });
    await wipe(file);
  }
  return await labelFresh(file, options);
}

function isKnown(judgement: Judgement, options: UnitStoreOptions): boolean {
  const id = judgement.kind === "quarantined" ? judgement.mediumId : null;
  return id !== null && Object.hasOwn(options.knownSequences, id);
}

async function readCopies(
  file: MediumFile,
): Promise<{ judgement: Judgement; regionA: Uint8Array }> {
  const regionA = await file.read(0, LABEL_REGION_BYTES);
  const decoded = decodeCopy(regionA, "A");
  // A medium may have been enlarged since: copy B is where copy A says.
  const sizeBytes = "label" in decoded ? decoded.label.sizeBytes : file.sizeBytes;
  if (sizeBytes > file.sizeBytes && "label" in decoded) {
    const reason = `it has shrunk from ${sizeBytes} to ${file.sizeBytes} bytes`;
    const { label } = decoded;
    const judgement: Judgement = { kind: "quarantined", reason, label, mediumId: label.mediumId };
    return { judgement, regionA };
  }
  const regionB = await file.read(copyBStart(sizeBytes), LABEL_REGION_BYTES);
  return { judgement: judgeCopies(regionA, regionB), regionA };
}

/** A medium with a label: ours, or reported with the reason why it is not served. */
async function accept(
  file: MediumFile,
  judgement: Extract<Judgement, { kind: "label" | "quarantined" }>,
  options: UnitStoreOptions,
): Promise<Opened> {
  const { label } = judgement;
  const id = label?.mediumId ?? (judgement.kind === "quarantined" ? judgement.mediumId : null);
  if (id === null) {
    throw new DvsanError("foreign", `Cannot use ${file.path}: it holds a damaged dvsan label.`);
  }
  const known = options.knownSequences[id];
  const report = (state: MediumInfo["state"], reason: string): Opened => {
    const sequence = label?.sequence ?? 0;
    const { adopting } = options;
    const isMeant = adopting?.mediumId === id && adopting.sequence === sequence;
    if (isMeant && label !== null && label.sizeBytes <= file.sizeBytes) {
      const isOurs = state === "quarantined" && sequence >= (known ?? 0);
      return { kind: "adopted", file, label, isOurs };
    }
    return { kind: "reported", info: infoOf(file, { state, id, reason, sequence }) };
  };
  if (label !== null && label.unitId !== options.unitId) {
    return report("foreign", `it belongs to unit ${label.unitId}${nameOf(label)}`);
  }
  if (judgement.kind === "quarantined") return report("quarantined", judgement.reason);
  const own = judgement.label;
  if (own.clusterId !== "" && options.clusterId !== null && own.clusterId !== options.clusterId) {
    return report("foreign", `it belongs to cluster ${own.clusterId}`);
  }
  if (options.forgotten?.includes(id)) {
    return report("stale", "an operator gave it up for lost, and it is back");
  }
  if (known !== undefined && own.sequence < known) {
    const reason = `its label has sequence ${own.sequence}, this unit has written ${known}: ` +
      "it is an old copy";
    return report("stale", reason);
  }
  if (judgement.rewrite !== null) {
    options.log.info("finishing a label update that a crash cut", {
      path: file.path,
      copy: judgement.rewrite,
    });
    const position = judgement.rewrite === "A" ? 0 : copyBStart(own.sizeBytes);
    try {
      await file.write(position, encodeCopies(own)[judgement.rewrite]);
      await file.sync();
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      return report("failed", `writing its label failed: ${messageOf(error)}`);
    }
  }
  return { kind: "ok", file, label: own };
}

function nameOf(label: Label): string {
  return label.name === "" ? "" : ` (${label.name})`;
}

async function labelFresh(file: MediumFile, options: UnitStoreOptions): Promise<Opened> {
  const label: Label = {
    sequence: 1,
    mediumId: randomUuid(options.random),
    unitId: options.unitId,
    clusterId: options.clusterId ?? "",
    name: options.unitName ?? "",
    sizeBytes: file.sizeBytes,
    opens: 0,
    epoch: 0,
    instance: "",
    nextNumber: 1,
    volumes: [],
    zeroed: [],
  };
  await writeLabel(file, label);
  options.log.info("labelled a new medium", { path: file.path, medium: label.mediumId });
  return { kind: "ok", file, label };
}

/** So that the station's operator sees it too; the same path has the same id at every start. */
function refusedInfo({ path, error }: RefusedMedium): MediumInfo {
  const hash = new Uint8Array(createHash("sha256").update(`dvsan refused ${path}`).digest());
  return infoOf({ path, sizeBytes: 0 }, {
    state: "refused",
    id: randomUuid({ bytes: (count) => hash.slice(0, count) }),
    reason: error.message,
    sequence: 0,
  });
}

function infoOf(
  file: Pick<MediumFile, "path" | "sizeBytes">,
  about: { state: MediumInfo["state"]; id: string; reason: string; sequence: number },
): MediumInfo {
  return {
    ...about,
    path: file.path,
    sizeBytes: file.sizeBytes,
    freeBytes: 0,
    zeroedBytes: 0,
    largestVolumeBytes: 0,
    reason: about.reason.slice(0, 1024),
    errors: 0,
  };
}
