import type { FaultKind } from "../scenario/plan.ts";

/** A bug to plant: in one file, one text in place of another. */
export interface Mutation {
  /** "write-one-label-copy". */
  readonly name: string;
  /** The promise that it breaks, in words. */
  readonly breaks: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Must be there exactly once. */
  readonly old: string;
  readonly new: string;
  /** One that catches it; it is tried first. */
  readonly seed?: number;
  /** Kinds of faults that are needed to see it: with these alone it is found sooner. */
  readonly only?: readonly FaultKind[];
}

/** The file with the bug in it; a text instead when the old text is not there just once. */
export function planted(mutation: Mutation, source: string): { source: string } | string {
  const parts = source.split(mutation.old);
  if (parts.length !== 2) {
    return `mutation "${mutation.name}": its old text is ${parts.length - 1} times in ` +
      `${mutation.file}, and must be there once`;
  }
  return { source: parts.join(mutation.new) };
}
