import assert from "node:assert/strict";
import { CatalogView, RecoveryView } from "../../web/station_api.ts";
import { catalogText, differencesText, mediaText, recoveryText } from "./truth_tables.ts";

const DIFFERENCE = {
  kind: "volume" as const,
  subject: 'volume 3 of unit "u1" (disk "db", leg 0)',
  wanted: "that it is deleted: released",
  held: "1 GiB, ready",
  will: "nothing by itself",
  onConfirm: "is fenced or deleted",
  waits: "an operator",
};

Deno.test("recoveryText() shows every difference in words, and how to confirm exactly this list", () => {
  const view: RecoveryView = {
    state: "recovered",
    reasons: ["The catalog was missing."],
    list: "0a1b2c3d4e5f",
    differences: [DIFFERENCE],
    unseen: ["u2"],
    members: ['host "h1"', 'unit "u1"', 'unit "u2"'],
  };
  const text = recoveryText(RecoveryView.parse(view));
  for (const words of [...Object.values(DIFFERENCE).slice(1), "was missing", "u2"]) {
    assert.ok(text.includes(words), words);
  }
  assert.match(text, /dvsan ctl recover --confirm 0a1b2c3d4e5f$/);
  assert.match(text, /lets in: host "h1", unit "u1" and unit "u2"\.\n.*revoke/);
  const many = Array.from({ length: 1000 }, (_, i) => `host "h${i}"`);
  const few = recoveryText({ ...view, members: many });
  assert.match(few, /host "h15" and 984 more \(dvsan ctl hosts, dvsan ctl units\)\.$/m);
  assert.doesNotMatch(recoveryText({ ...view, state: "normal" }), /--confirm/);
});

Deno.test("nothing is said to agree before all have told, and what was told last is said to be so", () => {
  const view: RecoveryView = {
    state: "normal",
    reasons: [],
    list: "0a1b2c3d4e5f",
    differences: [],
    unseen: ["u2"],
    members: [],
  };
  assert.doesNotMatch(recoveryText(view), /agree/);
  assert.match(recoveryText({ ...view, unseen: [] }), /agree/);
  const medium = { id: "m", path: "/dev/x", sizeBytes: 0, freeBytes: 0, zeroedBytes: 0, errors: 0 };
  const media = [{ ...medium, state: "ok", reason: null }] as const;
  const told = (state: "online" | "silent", reason: string | null) =>
    mediaText([{ name: "u1", state, reason, media: [...media] }]);
  assert.match(told("silent", "silent for 9 s"), /as the unit last told: silent for 9 s/);
  assert.doesNotMatch(told("online", null), /last told/);
});

Deno.test("differencesText() says so when all agree; catalogText() names what was set aside", () => {
  assert.match(differencesText([]), /agree/);
  const view: CatalogView = {
    file: "/c2",
    isSound: true,
    findings: [],
    setAside: [{ path: "/c1", reason: "a page is damaged", kept: 7, lost: ["grants v1: bad"] }],
  };
  const text = catalogText(CatalogView.parse(view));
  assert.match(text, /\/c2: sound\nset aside: \/c1: a page is damaged; 7 records/);
  assert.match(text, /not taken over: grants v1: bad/);
});
