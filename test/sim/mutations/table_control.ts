import type { Mutation } from "./mutation.ts";

/** Bugs in who may do what: sessions, epochs, generations, tasks. */
export const CONTROL_MUTATIONS: readonly Mutation[] = [
  {
    name: "forget-opened-sequences",
    breaks: "a medium that was rolled back to before its unit's last start is recognised",
    file: "roles/unit/main.ts",
    old: '  if (notice.notice === "storage-changed") media.keep(notice);\n',
    new: '  if (notice.notice === "storage-changed" && notice.revision % 2 ** 28 > 4) {\n' +
      "    media.keep(notice);\n  }\n",
    story: "rolled-back-to-before-start",
  },
  {
    name: "let-in-runs-start-anew",
    breaks: "a copied host that was cut off is refused also after its unit's restart",
    file: "storage/worker/unit_service.ts",
    old: "      const attachment = this.#runs.floor(id, terms.generation);\n",
    new: "      const attachment = 0;\n",
    story: "copied-host",
  },
];
