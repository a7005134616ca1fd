import type { BlocksChecker } from "./blocks.ts";
import { bad, good } from "./testing_blocks.ts";
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
  checker.ended("unit1", { power: true });
  history.read(0, before);
});

good("the loss of a write without an agent in a power cut", ({ history, checker }) => {
  const before = history.write(0);
  history.flush();
  history.write(0, { era: 2, isDirect: true });
  checker.ended("unit1", { power: true });
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

function letGo(checker: BlocksChecker): void {
  const params = { diskId: DISK };
  const told = { process: "host1", call: "diskDetach", askedAtMs: 0, params } as const;
  checker.workerAnswered({ ...told, result: null, error: null });
}
