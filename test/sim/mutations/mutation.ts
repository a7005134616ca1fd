import type { FaultKind } from "../scenario/plan.ts";
import type { StoryName } from "../stories/table.ts";

/** One text in place of another. */
export interface Edit {
  /** From the root of the repository. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly old: string;
  readonly new: string;
}

/** A bug to plant: in one file, one text in place of another. */
export interface Mutation extends Edit {
  /** "write-one-label-copy". */
  readonly name: string;
  /** The promise that it breaks, in words. */
  readonly breaks: string;
  /** The second guard, in another file, which would hide that the first one is gone. */
  readonly also?: readonly Edit[];
  /** Played in place of faults by chance, where chance would need too many seeds. */
  readonly story?: StoryName;
  /** Kinds of faults that are needed to see it: with these alone it is found sooner. */
  readonly only?: readonly FaultKind[];
}

/** Where it is planted. */
export function editsOf(mutation: Mutation): readonly Edit[] {
  return [mutation, ...mutation.also ?? []];
}

/** The file with the bug in it; a text instead when the old text is not there just once. */
export function planted(edit: Edit, source: string): { source: string } | string {
  const parts = source.split(edit.old);
  if (parts.length !== 2) {
    return `the text "${edit.old}" is ${parts.length - 1} times in ${edit.file}, and must be ` +
      "there once";
  }
  return { source: parts.join(edit.new) };
}
