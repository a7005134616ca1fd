import type { CatalogKeeper } from "./catalog/keeper.ts";
import type { Events } from "./events.ts";

const TOLD_MAX = 3;

/**
 * What a start did not need and did not read may be damaged all the same, as the history: it reads
 * the whole file once, and says what is wrong there.
 */
export async function tellDamage(
  { keeper, events }: { readonly keeper: CatalogKeeper; readonly events: Events },
): Promise<void> {
  const { isSound, file, findings } = await keeper.check();
  if (isSound) return;
  const some = findings.slice(0, TOLD_MAX).join("; ");
  const more = findings.length > TOLD_MAX ? `; and ${findings.length - TOLD_MAX} more` : "";
  const text = `The catalog ${file} is damaged: ${some}${more}. The station goes on. See it with ` +
    "dvsan ctl check, and have it written anew with dvsan ctl check --repair.";
  events.say({ kind: "catalog.damaged", severity: "warn", subject: "catalog", text });
}
