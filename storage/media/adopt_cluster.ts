import { DvsanError } from "../../protocol/core/errors.ts";
import type { Medium } from "./medium.ts";

/** Writes the cluster's id to every label that has none yet; "foreign" when one has another. */
export async function adoptCluster(media: readonly Medium[], clusterId: string): Promise<void> {
  const others = media.filter(({ label }) =>
    label.clusterId !== "" && label.clusterId !== clusterId
  );
  if (others.length > 0) {
    const which = others.map((medium) => `${medium.id} (${medium.file.path})`).join(", ");
    throw new DvsanError(
      "foreign",
      `Cannot join cluster ${clusterId}: media belong to another cluster: ${which}. ` +
        "Remove them from this unit, or wipe them.",
    );
  }
  const empty = media.filter(({ ok, label }) => ok && label.clusterId === "");
  await Promise.all(empty.map((medium) => medium.update((label) => ({ ...label, clusterId }))));
}
