import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import type { ErrorsByKind } from "../../web/load_views.ts";

/** "3 no space, 1 I/O", in the order of the kinds; empty when there were none. */
export function errorsText(errors: ErrorsByKind): string {
  return ERROR_KINDS.flatMap(({ name, words }) => {
    const count = errors[name] ?? 0;
    return count === 0 ? [] : [`${count} ${words}`];
  }).join(", ");
}
