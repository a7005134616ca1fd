import assert from "node:assert/strict";
import fc from "fast-check";
import { bad, bench, good, unitFails } from "./testing_blocks.ts";
import { DISK, type History, shown } from "./testing_history.ts";

good("a new disk of zeroes", ({ history }) => history.read(3, 0));

good("the last of several writes, and zeroes over it", ({ history }) => {
  history.write(0);
  const second = history.write(0);
  history.read(0, second);
  history.done(history.ask("zero", 0));
  history.read(0, 0);
});

good("either of two writes at the same time", ({ history }) => {
  const one = history.ask("write", 0);
  const other = history.ask("write", 0);
  history.done(one);
  history.done(other);
  history.read(0, one.version);
  history.read(0, one.version);
});

good("a write that is not answered, seen or not, torn or whole", ({ history }) => {
  const before = history.write(0);
  const open = history.ask("write", 0);
  history.read(0, before);
  history.read(0, before, open.version);
  history.read(0, open.version);
});

good("whatever was there after a trim", ({ history }) => {
  const before = history.write(0);
  history.write(0);
  history.done(history.ask("trim", 0));
  history.read(0, before);
});

good("a loss of what was not flushed and that nobody could repeat", ({ history, checker }) => {
  const before = history.write(0);
  history.flush();
  history.write(0);
  checker.ended("host1");
  unitFails(checker);
  history.read(0, before);
});

good("a failed write that is seen later", ({ history }) => {
  const before = history.write(0);
  const failed = history.ask("write", 0);
  history.fail(failed);
  history.read(0, before);
  history.read(0, failed.version);
});

bad(
  "an older value after a newer one was acknowledged",
  /r1 wrote version 1.*r2 wrote/,
  ({ history }) => {
    const old = history.write(0);
    history.write(0);
    return () => history.read(0, old);
  },
);

bad(
  "an older value after a newer one was read",
  /after that, r2 wrote version 2/,
  ({ history }) => {
    const old = history.write(0);
    const open = history.ask("write", 0);
    history.read(0, open.version);
    return () => history.read(0, old);
  },
);

bad("two writes at the same time that change places", /cannot be/, ({ history }) => {
  const one = history.ask("write", 0);
  const other = history.ask("write", 0);
  history.done(one);
  history.done(other);
  history.read(0, one.version);
  return () => history.read(0, other.version);
});

bad("zeroes where a write was acknowledged", /read zeroes from block 5/, ({ history }) => {
  history.write(5);
  return () => history.read(5, 0);
});

bad("a write that shows before it was asked for", /nobody ever wrote/, ({ history }) => {
  return () => history.read(0, 77);
});

bad("a torn block of an acknowledged write", /cannot be/, ({ history }) => {
  const before = history.write(0);
  const after = history.write(0);
  return () => history.read(0, before, after);
});

bad("the loss of a flushed write in a power cut", /r2 wrote version 2/, ({ history, checker }) => {
  const before = history.write(0);
  history.write(0);
  history.flush();
  checker.ended("host1");
  unitFails(checker);
  return () => history.read(0, before);
});

bad("the loss of a FUA write in a power cut", /r2 wrote version 2/, ({ history, checker }) => {
  const before = history.write(0);
  history.write(0, { fua: true });
  checker.ended("host1");
  unitFails(checker);
  return () => history.read(0, before);
});

bad("the loss of what the host still knew", /r2 wrote version 2/, ({ history, checker }) => {
  const before = history.write(0);
  history.write(0);
  unitFails(checker);
  return () => history.read(0, before);
});

bad(
  "the loss of a write while only its host died",
  /r2 wrote version 2/,
  ({ history, checker }) => {
    const before = history.write(0);
    history.write(0);
    checker.ended("host1");
    checker.ended("unit1");
    return () => history.read(0, before);
  },
);

bad("a flush that covers what was lost in writing back", /r1 wrote/, ({ history, checker }) => {
  history.write(0);
  unitFails(checker);
  history.flush();
  checker.ended("host1");
  return () => history.read(0, 0);
});

bad(
  "a write of a dead host that lands after its successor was answered",
  /after that, r4 read version 1/,
  (it) => {
    const { history, checker } = it;
    const before = history.write(0);
    const late = history.ask("write", 0);
    checker.ended("host1");
    history.lose(late);
    history.read(0, before);
    history.read(0, before);
    history.read(0, before);
    return () => history.read(0, late.version);
  },
);

bad("another disk's data", /of another disk/, ({ history }) => {
  return () => {
    const read = history.ask("read", 4);
    history.done(read, shown(4, [9], "99999999-2222-4333-8444-555555555555"));
  };
});

bad("another block's data", /version 1 of block 4 instead/, ({ history }) => {
  const version = history.write(4);
  return () => {
    const read = history.ask("read", 5);
    history.done(read, shown(4, [version]));
  };
});

bad("bytes that nobody wrote", /there is no stamp/, ({ history }) => {
  return () => history.done(history.ask("read", 0), new Uint8Array(4096).fill(7));
});

Deno.test("blocks: whatever a real register does at the same time is in order", () => {
  interface Step {
    readonly what: "write" | "read" | "zero" | "act" | "answer";
    readonly pick: number;
  }
  const anyStep: fc.Arbitrary<Step> = fc.record({
    what: fc.constantFrom<Step["what"]>("write", "read", "zero", "act", "act", "answer", "answer"),
    pick: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 120 }), (steps) => {
      const { history, complaints } = bench();
      let value = 0;
      type Open = { request: ReturnType<History["ask"]>; acted: boolean; saw: number };
      const open: Open[] = [];
      const act = (one: Open) => {
        if (one.acted) return;
        one.acted = true;
        if (one.request.kind === "write") value = one.request.version;
        else if (one.request.kind === "zero") value = 0;
        else one.saw = value;
      };
      for (const { what, pick } of steps) {
        if (what === "act" || what === "answer") {
          const one = open[pick % Math.max(1, open.length)];
          if (one === undefined) continue;
          act(one);
          if (what === "act") continue;
          open.splice(open.indexOf(one), 1);
          const isRead = one.request.kind === "read";
          history.done(one.request, isRead ? shown(0, [one.saw]) : null);
        } else open.push({ request: history.ask(what, 0), acted: false, saw: -1 });
      }
      assert.deepEqual(complaints.texts, []);
    }),
    { numRuns: 300, seed: 1 },
  );
});

Deno.test("blocks: forgets a disk that was released", () => {
  const { history, checker, complaints } = bench();
  history.write(0);
  checker.diskReleased(DISK);
  history.read(0, 0);
  assert.deepEqual(complaints.texts, []);
});

Deno.test("blocks: forgetting old changes hides nothing", () => {
  const { history, complaints } = bench();
  const old = history.write(0);
  for (let i = 0; i < 300; i++) {
    history.write(0);
    history.flush();
    history.read(0, 2 + 3 * i);
  }
  assert.deepEqual(complaints.texts, []);
  history.read(0, old);
  assert.equal(complaints.texts.length, 1);
});
