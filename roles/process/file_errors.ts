import { messageOf } from "../../protocol/core/errors.ts";

/** Why the kernel refused something about a file, in words without a path. */
export function fileProblem(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "permission is denied";
  if (error instanceof Deno.errors.IsADirectory) return "it is a directory";
  if (error instanceof Deno.errors.NotADirectory) return "a part of its path is not a directory";
  const words = messageOf(error);
  if (/os error 28\b|ENOSPC/.test(words)) return "the file system is full";
  if (/os error 122\b|EDQUOT/.test(words)) return "the disk quota is used up";
  if (/os error 30\b|EROFS/.test(words)) return "the file system is read-only";
  if (/os error 21\b|EISDIR/.test(words)) return "it is a directory";
  return words;
}
