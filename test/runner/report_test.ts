import assert from "node:assert/strict";
import { count, lastLine, parseReport } from "./report.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="4" failures="1" errors="0" time="0.1">
  <testsuite name="./a_test.ts" tests="3" disabled="1" errors="0" failures="1">
    <testcase name="a &quot;b&quot; &lt;c&gt;" classname="./a_test.ts" time="0.0" line="1" col="6">
    </testcase>
    <testcase name="fails" classname="./a_test.ts" time="0.0" line="2" col="6">
      <failure message="Uncaught Error">Error: &lt;skipped/&gt;</failure>
    </testcase>
    <testcase name="skipped" classname="./a_test.ts" time="0.0" line="3" col="6">
      <skipped/>
    </testcase>
    <testcase name="fails &gt; a step" classname="./a_test.ts" time="0.0" line="2" col="9">
      <failure message="Uncaught Error">Error</failure>
    </testcase>
    <testcase name="fails &gt; a helper's step" classname="./helper.ts" time="0.0" line="2" col="9">
    </testcase>
    <testcase name="self-closing" classname="./b_test.ts" time="0.0"/>
  </testsuite>
</testsuites>`;

Deno.test("parseReport() tells passed, failed and skipped tests apart, without steps", () => {
  const cases = parseReport(REPORT);
  assert.deepEqual(cases.map((each) => [each.name, each.result]), [
    ['a "b" <c>', "passed"],
    ["fails", "failed"],
    ["skipped", "skipped"],
    ["self-closing", "passed"],
  ]);
  assert.equal(cases[0]?.file, "./a_test.ts");
});

Deno.test("lastLine() is the plain count", () => {
  assert.equal(lastLine(count(parseReport(REPORT))), "2 passed, 1 failed, 1 skipped");
});
