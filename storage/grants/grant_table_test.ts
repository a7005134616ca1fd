import assert from "node:assert/strict";
import fc from "fast-check";
import { AssertionError } from "../../protocol/core/assert.ts";
import { CONNECTIONS_PER_GRANT_MAX } from "../../protocol/core/limits.ts";
import type { GrantTerms } from "./grant_state.ts";
import { type Admission, type ConnectionId, GrantTable } from "./grant_table.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";

function terms(counter: number, host = "a"): GrantTerms {
  return {
    generation: { epoch: 1, counter },
    hostId: host.repeat(32),
    hostKey: new Uint8Array(32).fill(host.charCodeAt(0)),
    direct: null,
  };
}

function tableWith(grant: GrantTerms): GrantTable {
  const table = new GrantTable();
  table.load(VOLUME, { terms: grant, fenced: false, attachment: 0 });
  return table;
}

function attach(
  table: GrantTable,
  options: { connection: ConnectionId; attachment: number; holder?: GrantTerms },
): Admission {
  const holder = options.holder ?? table.holders(VOLUME)[0]!;
  return table.admit(VOLUME, { ...options, holder, generation: holder.generation });
}

function refusalOf(admission: Admission): string {
  return admission.verdict === "refuse" ? admission.refusal : "admitted";
}

Deno.test("admit() lets connections of one attachment in side by side", () => {
  const table = tableWith(terms(1));
  for (const connection of [1, 2, 3]) {
    assert.deepEqual(attach(table, { connection, attachment: 7 }), {
      verdict: "admitted",
      shut: [],
    });
  }
  assert.deepEqual(table.connections(VOLUME), [1, 2, 3]);
});

Deno.test("admit() supersedes every lower attachment and waits for what they submitted", () => {
  const table = tableWith(terms(1));
  attach(table, { connection: 1, attachment: 1 });
  attach(table, { connection: 2, attachment: 1 });
  const admission = attach(table, { connection: 3, attachment: 2 });
  assert.deepEqual(admission, { verdict: "admitted", shut: [1, 2] });
  assert.equal(table.isOpen(1), false);
  assert.equal(table.isSettled(VOLUME), false);
  table.quiet(1);
  assert.equal(table.isSettled(VOLUME), false);
  table.quiet(2);
  assert.equal(table.isSettled(VOLUME), true);
});

Deno.test("admit() refuses a lower number than one that came in", () => {
  const table = tableWith(terms(1));
  attach(table, { connection: 1, attachment: 5 });
  assert.equal(refusalOf(attach(table, { connection: 2, attachment: 4 })), "superseded");
  table.ended(1, "left");
  table.quiet(1);
  assert.equal(refusalOf(attach(table, { connection: 3, attachment: 4 })), "superseded");
});

Deno.test("admit() refuses what was superseded before a restart, and takes what is of that run", () => {
  for (
    const [attachment, refusal] of [[99, "superseded"], [100, "admitted"], [
      107,
      "admitted",
    ]] as const
  ) {
    const table = new GrantTable();
    table.load(VOLUME, { terms: terms(1), fenced: false, attachment: 100 });
    assert.equal(refusalOf(attach(table, { connection: 1, attachment })), refusal);
  }
});

Deno.test("admit() adds no connection to an attachment that lost one, but to one that was left", () => {
  const table = tableWith(terms(1));
  attach(table, { connection: 1, attachment: 5 });
  attach(table, { connection: 2, attachment: 5 });
  table.ended(1, "left");
  table.quiet(1);
  assert.equal(refusalOf(attach(table, { connection: 3, attachment: 5 })), "admitted");
  table.ended(2, "lost");
  assert.equal(refusalOf(attach(table, { connection: 4, attachment: 5 })), "superseded");
  assert.equal(refusalOf(attach(table, { connection: 5, attachment: 6 })), "admitted");
});

Deno.test("losing a superseded connection does not break the present attachment", () => {
  const table = tableWith(terms(1));
  attach(table, { connection: 1, attachment: 5 });
  attach(table, { connection: 2, attachment: 6 });
  table.ended(1, "lost");
  table.quiet(1);
  assert.equal(refusalOf(attach(table, { connection: 3, attachment: 6 })), "admitted");
});

Deno.test("admit() tells fenced, unknown, busy and draining apart", () => {
  const table = tableWith(terms(2));
  const old = terms(1);
  assert.equal(refusalOf(attach(table, { connection: 1, attachment: 1, holder: old })), "fenced");
  const next = terms(3);
  assert.equal(refusalOf(attach(table, { connection: 1, attachment: 1, holder: next })), "unknown");
  const request = { connection: 1, attachment: 1, holder: old, generation: old.generation };
  assert.equal(refusalOf(table.admit("no such volume", request)), "unknown");
  table.fence(VOLUME, 10);
  assert.equal(refusalOf(attach(table, { connection: 1, attachment: 1 })), "busy");
  table.fenceDone(VOLUME);
  assert.equal(refusalOf(attach(table, { connection: 1, attachment: 1 })), "fenced");
  table.grant(VOLUME, terms(3, "b"));
  const former = table.holders(VOLUME)[1]!;
  assert.equal(former.hostId, "a".repeat(32));
  assert.equal(
    refusalOf(attach(table, { connection: 1, attachment: 1, holder: former })),
    "fenced",
  );
  table.drain();
  assert.equal(refusalOf(attach(table, { connection: 1, attachment: 1 })), "draining");
});

Deno.test("admit() is busy when the grant's connections are used up", () => {
  const table = tableWith(terms(1));
  for (let connection = 0; connection < CONNECTIONS_PER_GRANT_MAX; connection++) {
    assert.equal(refusalOf(attach(table, { connection, attachment: 1 })), "admitted");
  }
  assert.equal(refusalOf(attach(table, { connection: 99, attachment: 1 })), "busy");
  assert.equal(refusalOf(attach(table, { connection: 99, attachment: 2 })), "admitted");
});

Deno.test("a fence throws everybody out and is not done before they are quiet", () => {
  const table = tableWith(terms(1));
  attach(table, { connection: 1, attachment: 1 });
  assert.deepEqual(table.fence(VOLUME, 10), [1]);
  assert.deepEqual(table.fence(VOLUME, 20), []);
  assert.deepEqual(table.state(VOLUME), { kind: "fencing", terms: terms(1), sinceMs: 10 });
  assert.throws(() => table.fenceDone(VOLUME), AssertionError);
  table.quiet(1);
  table.fenceDone(VOLUME);
  assert.equal(table.state(VOLUME)?.kind, "fenced");
});

Deno.test("grant() needs an older generation fenced first and takes a repeat as it is", () => {
  const table = tableWith(terms(1));
  attach(table, { connection: 1, attachment: 4 });
  table.grant(VOLUME, terms(1));
  assert.equal(table.isOpen(1), true);
  assert.throws(() => table.grant(VOLUME, terms(2)), AssertionError);
  table.fence(VOLUME, 0);
  table.quiet(1);
  table.fenceDone(VOLUME);
  assert.throws(() => table.grant(VOLUME, terms(1)), AssertionError);
  table.grant(VOLUME, terms(2));
  assert.equal(refusalOf(attach(table, { connection: 2, attachment: 1 })), "admitted");
});

Deno.test("admitDirect() has one connection, and the newest wins; the agent stays out", () => {
  const direct = { tokenHash: new Uint8Array(32), addresses: ["127.0.0.1"] };
  const table = tableWith({ ...terms(1), direct });
  assert.deepEqual(table.admitDirect(VOLUME, 1), { verdict: "admitted", shut: [] });
  assert.deepEqual(table.admitDirect(VOLUME, 2), { verdict: "admitted", shut: [1] });
  assert.deepEqual(table.connections(VOLUME), [2]);
  assert.equal(refusalOf(attach(table, { connection: 3, attachment: 99 })), "fenced");
  assert.equal(refusalOf(tableWith(terms(1)).admitDirect(VOLUME, 1)), "fenced");
});

type Step =
  | { readonly do: "attach"; readonly attachment: number; readonly counter: number }
  | { readonly do: "left" | "lost" | "quiet"; readonly connection: number }
  | { readonly do: "fence" | "fenceDone" | "grant" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("attach" as const),
    attachment: fc.integer({ min: 1, max: 6 }),
    counter: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({
    do: fc.constantFrom("left" as const, "lost" as const, "quiet" as const),
    connection: fc.integer({ min: 0, max: 20 }),
  }),
  fc.record({ do: fc.constantFrom("fence" as const, "fenceDone" as const, "grant" as const) }),
);

/** What must hold, kept in the plainest way. */
class Model {
  counter = 1;
  kind: "active" | "fencing" | "fenced" = "active";
  highest = 0;
  readonly open = new Map<number, number>();
  readonly noisy = new Set<number>();
  readonly lost = new Set<number>();
}

function take(table: GrantTable, model: Model, options: { step: Step; connection: number }): void {
  const { step, connection } = options;
  switch (step.do) {
    case "attach": {
      const holder = terms(step.counter);
      const admission = attach(table, { connection, attachment: step.attachment, holder });
      const right = step.counter === model.counter && model.kind === "active" &&
        step.attachment >= model.highest && !model.lost.has(step.attachment);
      assert.equal(admission.verdict === "admitted", right);
      if (admission.verdict !== "admitted") return;
      const lower = [...model.open].filter(([, number]) => number < step.attachment);
      assert.deepEqual([...admission.shut], lower.map(([id]) => id));
      for (const [id] of lower) model.open.delete(id);
      model.highest = step.attachment;
      model.open.set(connection, step.attachment);
      model.noisy.add(connection);
      return;
    }
    case "left":
    case "lost":
    case "quiet": {
      const number = model.open.get(step.connection);
      if (step.do === "quiet") table.quiet(step.connection);
      else table.ended(step.connection, step.do);
      if (number !== undefined && step.do !== "left") model.lost.add(number);
      model.open.delete(step.connection);
      if (step.do === "quiet") model.noisy.delete(step.connection);
      return;
    }
    case "fence":
      assert.deepEqual([...table.fence(VOLUME, 0)], [...model.open.keys()]);
      model.open.clear();
      if (model.kind === "active") model.kind = "fencing";
      return;
    case "fenceDone":
      if (model.kind !== "fencing" || !table.isSettled(VOLUME)) return;
      table.fenceDone(VOLUME);
      model.kind = "fenced";
      return;
    case "grant":
      if (model.kind !== "fenced") return;
      model.counter++;
      table.grant(VOLUME, terms(model.counter));
      Object.assign(model, { kind: "active", highest: 0 });
      model.lost.clear();
  }
}

Deno.test("whatever happens, only the highest attachment of the current grant is in", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = tableWith(terms(1));
      const model = new Model();
      steps.forEach((step, connection) => {
        take(table, model, { step, connection });
        assert.deepEqual([...table.connections(VOLUME)], [...model.open.keys()]);
        assert.equal(table.isSettled(VOLUME), model.noisy.size === model.open.size);
        assert.ok([...model.open.values()].every((number) => number === model.highest));
        if (model.kind !== "active") assert.equal(model.open.size, 0);
      });
    }),
    { numRuns: 300 },
  );
});
