import { NAME_CHARACTERS_MAX } from "./limits.ts";

/** Why `name` cannot name a node or a disk, or null when it can. Letters, digits, `.`, `_`, `-`. */
export function invalidName(name: string): string | null {
  if (name.length === 0) return "a name is needed";
  if (name.length > NAME_CHARACTERS_MAX) return `longer than ${NAME_CHARACTERS_MAX} characters`;
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    return "only letters, digits, '.', '_' and '-' are allowed, and a letter or digit first";
  }
  return null;
}
