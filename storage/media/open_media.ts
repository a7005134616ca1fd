import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { randomUuid } from "../../protocol/core/random.ts";
import {
  LABEL_REGION_BYTES,
  MEDIUM_SIZE_BYTES_MAX,
  MEDIUM_SIZE_BYTES_MIN,
  MIB,
} from "../../protocol/core/limits.ts";
import { asText, type MediumInfo } from "../../protocol/config/bodies.ts";
import { type Copy, copyBStart, decodeCopy } from "../../protocol/label/codec.ts";
import { isZero, judgeCopies, type Judgement } from "../../protocol/label/judge.ts";
import type { Label } from "../../protocol/label/label.ts";
import { acceptMedium, infoOf, lostLabel, type Opened } from "./accept_medium.ts";
import { adoptedLabel, asideOf, refuseTooMany } from "./adopt_label.ts";
import { besideServed, type Candidate, chosenOf, duplicateOf } from "./copies.ts";
import { findContent, wipe } from "./detect.ts";
import type { MediumFile, MediumSource, Wipe } from "./medium_file.ts";
import { refusedInfo } from "./medium_info.ts";
import { type Aside, besideReplaced } from "./replaced.ts";
import type { RefusedMedium, UnitStoreOptions } from "./store_types.ts";
import { writeCopies, writeLabel } from "./write_label.ts";

/** What became of every path that a unit was told to use. */
export interface OpenedMedia {
  readonly ok: readonly { readonly file: MediumFile; readonly label: Label }[];
  /** Known to be media, reported and not served; their files are closed. */
  readonly reported: readonly MediumInfo[];
  readonly refused: readonly RefusedMedium[];
  /** What an operator had an older copy taken over in place of. */
  readonly aside: Aside | null;
}

/** Opens, recovers or labels each source. A fault of one never rejects the whole. */
export async function openMedia(
  sources: readonly MediumSource[],
  options: UnitStoreOptions,
): Promise<OpenedMedia> {
  // Side by side: one that is stalled must not use up the others' time.
  const opened = await Promise.all(sources.map((source) => openInTime(source, options)));
  const served = new Map<string, Candidate>();
  const reported: MediumInfo[] = [];
  const refused: RefusedMedium[] = [];
  for (const one of opened) {
    if (one.kind === "reported") reported.push(one.info);
    else if (one.kind === "refused") {
      refused.push({ path: one.path, error: one.error });
      reported.push(refusedInfo({ path: one.path, reason: one.error.message }));
    }
  }
  const candidates = opened.filter((one) => one.kind === "ok");
  for (const rivals of Map.groupBy(candidates, ({ label }) => label.mediumId).values()) {
    const chosen = chosenOf(rivals);
    if (chosen !== null) served.set(chosen.label.mediumId, chosen);
    for (const one of rivals) {
      if (one === chosen) continue;
      await one.file.close();
      reported.push(duplicateOf(one, { chosen, rivals }));
    }
  }
  let aside: Aside | null = null;
  const adopted = opened.filter((one) => one.kind === "adopted");
  for (const one of adopted) {
    const labels = [...served.values()].map(({ label }) => label);
    const result = await takeOver(one, { labels, options, isAlone: adopted.length === 1 });
    if ("info" in result) reported.push(result.info);
    else {
      served.set(result.label.mediumId, { file: one.file, label: result.label });
      aside = asideOf(one.label, { unit: options, isOurs: one.isOurs });
    }
  }
  const labels = [...served.values()].map(({ label }) => label);
  return {
    ok: [...served.values()],
    reported: reported.map((info) => besideReplaced(besideServed(info, served), labels)),
    refused,
    aside,
  };
}

/** Relabels a medium for this unit; reported as failed when that cannot be written. */
async function takeOver(
  { file, label, isOurs, rewrite }: Extract<Opened, { kind: "adopted" }>,
  { labels, options, isAlone }: {
    readonly labels: readonly Label[];
    readonly options: UnitStoreOptions;
    readonly isAlone: boolean;
  },
): Promise<{ readonly label: Label } | { readonly info: MediumInfo }> {
  const about = { id: label.mediumId, sequence: label.sequence };
  const report = (state: MediumInfo["state"], reason: string) => {
    return { info: infoOf(file, { ...about, state, reason }) };
  };
  if (labels.some((other) => other.mediumId === label.mediumId)) {
    await file.close();
    return report("duplicate", "a medium of the same id is served; this one is a copy");
  }
  if (!isAlone) {
    await file.close();
    return report(
      "duplicate",
      "another device has the same medium id and label sequence; take away all but the one that " +
        "is to be served, and restart the unit",
    );
  }
  const adopted = adoptedLabel(label, { unit: options, others: labels, isOurs });
  try {
    refuseTooMany([...labels, adopted]);
    if (!isOurs) await options.keepNumbers?.(adopted.nextNumber);
    const writing = relabel(file, { label, rewrite, adopted });
    const written = options.writing === undefined ? await writing : await options.writing(writing);
    if (written === null) throw new DvsanError("io", "its device is stalled");
  } catch (error) {
    await file.close();
    if (!(error instanceof DvsanError)) throw error;
    return report("failed", `it cannot be taken over: ${messageOf(error)}`);
  }
  options.log.warn("took a medium over, as an operator asked", {
    path: file.path,
    medium: label.mediumId,
    from: label.unitId,
  });
  return { label: adopted };
}

/**
 * The only whole copy of a label is never written over: were the power cut in that, nothing of the
 * label would be left. So the other one is made whole first.
 */
async function relabel(
  file: MediumFile,
  { label, rewrite, adopted }: {
    readonly label: Label;
    readonly rewrite: readonly Copy[];
    readonly adopted: Label;
  },
): Promise<Uint8Array> {
  await writeCopies(file, label, rewrite);
  return await writeLabel(file, adopted);
}

/** One that takes too long is not taken; when it answers after all it is let go of. */
async function openInTime(source: MediumSource, options: UnitStoreOptions): Promise<Opened> {
  const opening = openOne(source, options);
  if (options.reading === undefined) return await opening;
  const inTime = await options.reading(opening);
  if (inTime !== null) return inTime.value;
  void opening.then(async (late) => {
    if (late.kind === "ok" || late.kind === "adopted") await late.file.close();
  });
  const error = new DvsanError(
    "io",
    `Cannot use ${source.path}: reading its label took too long. Its device is stalled.`,
  );
  return { kind: "refused", path: source.path, error };
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
    const known = await acceptMedium(file, judgement, options);
    // Also one whose label is damaged beyond reading.
    const ours = judgement.label?.unitId === options.unitId || isKnown(judgement, options);
    if (known.kind !== "reported" || ours || source.wipe === "no") return known;
    // A path may have another unit's medium today: whoever means that one says which it is.
    const { id } = known.info;
    if (source.wipe !== "yes" || options.wipeMedia?.includes(id) !== true) {
      return { kind: "reported", info: unwiped(known.info, source.wipe) };
    }
    options.log.warn("wiping a medium of somebody else, as asked", { path: file.path, medium: id });
    await wipe(file);
    return await labelFresh(file, options);
  }
  const lost = lostLabel(file, options);
  if (lost !== null) return { kind: "reported", info: lost };
  const interrupted = judgement.kind === "blank" && !isZero(regionA);
  const content = await findContent(file, interrupted ? LABEL_REGION_BYTES : 0);
  if (content !== null) {
    if (source.wipe !== "yes") {
      throw new DvsanError(
        "foreign",
        `Cannot use ${file.path}: it holds ${content}. If that may be destroyed, ` +
          `${howToWipe(file.path, source.wipe)}.`,
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

/** For an operator, who has not asked for it so that it holds now. */
function howToWipe(path: string, wipe: Exclude<Wipe, "yes">): string {
  return {
    no: `add --wipe ${path}`,
    used: `start the unit once without --wipe ${path} and then with it: it has held before, for ` +
      "what was there then",
    later: `restart the unit: --wipe ${path} holds at a start only, for what is there then`,
  }[wipe];
}

/** --wipe was given for what turned out to be labelled. */
function unwiped(info: MediumInfo, wipe: Exclude<Wipe, "no">): MediumInfo {
  const how = {
    yes: `add --wipe-medium ${info.id}`,
    used: `start the unit once without --wipe ${info.path}, then with it and --wipe-medium ` +
      info.id,
    later: `restart the unit with --wipe ${info.path} and --wipe-medium ${info.id}`,
  }[wipe];
  const reason = `${info.reason}; it is not wiped, as it is a medium: to destroy it, ${how}`;
  return { ...info, reason: asText(reason) };
}

function isKnown(judgement: Judgement, options: UnitStoreOptions): boolean {
  const ids = judgement.kind === "quarantined" ? judgement.mediumIds : [];
  return ids.some((id) => Object.hasOwn(options.knownSequences, id));
}

async function readCopies(
  file: MediumFile,
): Promise<{ judgement: Judgement; regionA: Uint8Array }> {
  const regionA = await file.read(0, LABEL_REGION_BYTES);
  const decoded = decodeCopy(regionA, "A");
  const copyBOf = async (sizeBytes: number) =>
    await file.read(copyBStart(sizeBytes), LABEL_REGION_BYTES);
  const atEnd = async () => judgeCopies(regionA, await copyBOf(file.sizeBytes));
  if (!("label" in decoded) || decoded.label.sizeBytes === file.sizeBytes) {
    return { judgement: await atEnd(), regionA };
  }
  // A medium may have been enlarged since: copy B is where copy A says.
  const { label } = decoded;
  const judgement = label.sizeBytes > file.sizeBytes
    ? shrunk(label, file)
    : judgeCopies(regionA, await copyBOf(label.sizeBytes));
  if (judgement.kind !== "quarantined") return { judgement, regionA };
  // Or copy A is another medium's, and this one's own is where the device ends.
  const own = await atEnd();
  const isAnothers = own.kind === "quarantined" && own.mediumIds.length > 1;
  return { judgement: isAnothers ? own : judgement, regionA };
}

function shrunk(label: Label, { sizeBytes }: MediumFile): Judgement {
  const reason = `it has shrunk from ${label.sizeBytes} to ${sizeBytes} bytes, and cannot be ` +
    "adopted before its device has all of them; if they are lost for good, start the unit " +
    "without it and forget it";
  return { kind: "quarantined", reason, label, rewrite: [], mediumIds: [label.mediumId] };
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
