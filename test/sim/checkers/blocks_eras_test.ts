import { COMMAND_FLAGS, WIRE_ERROR } from "../../../protocol/nbd/constants.ts";
import type { ConsumerRequest } from "../types.ts";
import type { BlocksChecker } from "./blocks.ts";
import { bad, type Bench, FIRST_BLOCKS, good, unitFails } from "./testing_blocks.ts";
import { DISK, shown } from "./testing_history.ts";

bad("the loss of what an agent let go of, while its unit lost nothing", /r2 wrote/, (it) => {
  const { history, checker } = it;
  const before = history.write(0);
  history.write(0);
  letGo(checker);
  return () => history.read(0, before);
});

good("the loss of what an agent let go of, with its unit's power", ({ history, checker }) => {
  const before = history.write(0);
  history.flush();
  history.write(0);
  letGo(checker);
  unitFails(checker);
  history.read(0, before);
});

good("the loss of a write without an agent in a power cut", ({ history, checker }) => {
  const before = history.write(0);
  history.flush();
  history.write(0, { era: 2, isDirect: true });
  unitFails(checker);
  history.done(history.ask("read", 0, { era: 2 }), shown(0, [before]));
});

bad("a write of an era that lands after a later one was answered", /after that/, (it) => {
  const { history } = it;
  const before = history.write(0);
  const late = history.ask("write", 0, { era: 2, isDirect: true });
  history.lose(late);
  for (let i = 0; i < 3; i++) history.done(history.ask("read", 0, { era: 3 }), shown(0, [before]));
  return () => history.done(history.ask("read", 0, { era: 3 }), shown(0, [late.version]));
});

/** Writing back failed, and who could repeat what was lost is gone. */
function lostInWriteback({ history, checker }: Bench): { before: number; after: number } {
  const before = history.write(0);
  history.flush();
  const after = history.write(0);
  checker.writebackFailed("/unit1/a.img", FIRST_BLOCKS);
  checker.ended("host1");
  return { before, after };
}

function reopened(checker: BlocksChecker): void {
  const about = { process: "unit1", call: "mediumChange", askedAtMs: 0, params: {} } as const;
  checker.workerAnswered({ ...about, result: { path: "/unit1/a.img" }, error: null });
}

good("what was only cached, and is gone once its medium was opened anew", (it) => {
  const { before, after } = lostInWriteback(it);
  it.history.read(0, after);
  reopened(it.checker);
  it.history.read(0, before);
});

bad("the loss of what a medium that was opened anew had shown", /after that, r3 wrote/, (it) => {
  const { before, after } = lostInWriteback(it);
  reopened(it.checker);
  it.history.read(0, after);
  return () => it.history.read(0, before);
});

function letGo(checker: BlocksChecker): void {
  const params = { diskId: DISK };
  const told = { process: "host1", call: "diskDetach", askedAtMs: 0, params } as const;
  checker.workerAnswered({ ...told, result: null, error: null });
}

bad(
  "a write that failed and lands after a later one was answered",
  /after that/,
  (it) => {
    const { history } = it;
    history.write(0);
    const failed = history.ask("write", 0);
    history.fail(failed);
    const after = history.write(0);
    history.read(0, after);
    return () => history.read(0, failed.version);
  },
);

good("a write that failed and lands beside a later one", ({ history }) => {
  history.write(0);
  const failed = history.ask("write", 0);
  const after = history.ask("write", 0);
  history.fail(failed);
  history.done(after);
  history.read(0, after.version);
  history.read(0, failed.version);
});

bad(
  "a write of a consumer that has gone, over one that was asked for since",
  /after that/,
  (it) => {
    const { history } = it;
    const left = history.ask("write", 0);
    history.lose(left);
    const after = history.write(0);
    history.read(0, after);
    return () => history.read(0, left.version);
  },
);

good("a write of a consumer that has gone, which lands late or never", ({ history }) => {
  const before = history.write(0);
  const left = [history.ask("write", 0), history.ask("write", 1)];
  for (const each of left) history.lose(each);
  history.read(0, before);
  history.read(0, left[0]!.version);
  const after = history.write(0);
  history.read(0, after);
  history.read(1, 0);
  history.read(1, left[1]!.version);
});

bad("a loss where the unit had lost nothing", /after that, r2 wrote version 2/, (it) => {
  const { history, checker } = it;
  const before = history.write(2);
  history.write(2);
  checker.ended("host1");
  unitFails(checker);
  return () => history.read(2, before);
});

bad("the loss of what its host had repeated after a power cut", /after that, r2 wrote/, (it) => {
  const { history, checker } = it;
  const before = history.write(0);
  const after = history.write(0);
  unitFails(checker);
  checker.wrote({ bytes: shown(0, [after]), position: 8192, isWhole: true });
  checker.ended("host1");
  return () => history.read(0, before);
});

good("the loss of what its host had begun to repeat", ({ history, checker }) => {
  const before = history.write(0);
  const after = history.write(0);
  unitFails(checker);
  checker.wrote({ bytes: shown(0, [after]), position: 8192, isWhole: false });
  checker.ended("host1");
  history.read(0, before);
});

good("the loss of what its host had repeated, by the next power cut", ({ history, checker }) => {
  const before = history.write(0);
  const after = history.write(0);
  unitFails(checker);
  checker.wrote({ bytes: shown(0, [after]), position: 8192, isWhole: true });
  unitFails(checker);
  checker.ended("host1");
  history.read(0, before);
});

/** Zeroes that a power cut took, and that nobody repeats: another request is writing them again. */
function zeroesOnceMore({ history, checker }: Bench): { before: number; again: ConsumerRequest } {
  const before = history.write(0);
  history.flush();
  history.done(history.ask("zero", 0));
  unitFails(checker);
  checker.ended("host1");
  return { before, again: history.ask("zero", 0) };
}

good("the loss of zeroes that were written again in a read's time", (it) => {
  const { before, again } = zeroesOnceMore(it);
  const read = it.history.ask("read", 0);
  it.checker.erased(() => FIRST_BLOCKS);
  it.history.done(read, shown(0, [before]));
  it.history.done(again);
  it.history.read(0, 0);
});

bad(
  "the loss of zeroes that were written again before a read",
  /after that, r3 wrote zer/,
  (it) => {
    const { before } = zeroesOnceMore(it);
    it.checker.erased(() => FIRST_BLOCKS);
    return () => it.history.read(0, before);
  },
);

good("a trim that its host repeats, and that leaves something else then", ({ history }) => {
  const before = history.write(0);
  history.done(history.ask("trim", 0));
  history.read(0, before);
  history.read(0, 0);
  history.flush();
  history.read(0, 0);
});

good("a durable trim that its host repeats, and that leaves something else then", ({ history }) => {
  const before = history.write(0);
  history.done(history.ask("trim", 0, { fua: true }));
  history.read(0, before);
  history.read(0, 0);
  history.flush();
  history.read(0, 0);
});

bad(
  "something else after a durable trim that was flushed and seen",
  /after that, r4 read/,
  (it) => {
    const { history } = it;
    const before = history.write(0);
    history.done(history.ask("trim", 0, { fua: true }));
    history.flush();
    history.read(0, 0);
    return () => history.read(0, before);
  },
);

bad("something else after a trim that was flushed and seen", /after that, r4 read/, (it) => {
  const { history } = it;
  const before = history.write(0);
  history.done(history.ask("trim", 0));
  history.flush();
  history.read(0, 0);
  return () => history.read(0, before);
});

/** A write that failed was seen before it did; what its host repeats is on the medium again. */
function seenAndFailed({ history }: Bench): { before: number; failed: number } {
  const before = history.write(0);
  const failed = history.ask("write", 0);
  history.read(0, failed.version);
  history.fail(failed);
  return { before, failed: failed.version };
}

good("what failed, after something older was repeated over it", (it) => {
  const { before, failed } = seenAndFailed(it);
  it.history.read(0, failed);
  it.checker.wrote({ bytes: shown(0, [before]), position: 8192, isWhole: true });
  it.history.read(0, before);
});

bad("the loss of what failed and was seen, without a repetition", /after that, r2 wrote/, (it) => {
  const { before, failed } = seenAndFailed(it);
  it.checker.wrote({ bytes: shown(0, [failed]), position: 8192, isWhole: true });
  return () => it.history.read(0, before);
});

bad("the loss of what was acknowledged by an older repetition", /after that, r2 wrote/, (it) => {
  const { history, checker } = it;
  const before = history.write(0);
  history.write(0);
  checker.wrote({ bytes: shown(0, [before]), position: 8192, isWhole: true });
  return () => history.read(0, before);
});

good("what failed, after older zeroes were repeated over it", ({ history, checker }) => {
  history.done(history.ask("zero", 0));
  const failed = history.ask("write", 0);
  history.read(0, failed.version);
  history.fail(failed);
  checker.erased(() => FIRST_BLOCKS);
  history.read(0, 0);
});

good("the loss of what a zeroing was under way over that is not done", ({ history, checker }) => {
  const version = history.write(0);
  const zero = { ...history.ask("zero", 0), flags: COMMAND_FLAGS.fastZero };
  checker.storageLost([{ diskId: DISK, block: 0, left: new Set([0, version]) }]);
  checker.answered(zero, WIRE_ERROR.notSupported, null);
  checker.ended("host1");
  history.read(0, 0);
});

bad("the loss of what a later write was torn over", /after that, r1 wrote/, (it) => {
  const { history, checker } = it;
  const version = history.write(0);
  const later = history.ask("write", 0);
  const left = new Set([later.version, version]);
  checker.storageLost([{ diskId: DISK, block: 0, left }]);
  checker.ended("host1");
  return () => history.read(0, 0);
});
