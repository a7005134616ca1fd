import assert from "node:assert/strict";
import type { MediumChange } from "../../protocol/config/media_bodies.ts";
import type { Opening } from "../../protocol/config/openings.ts";
import { testingOpenings } from "../../protocol/config/testing_openings.ts";
import { DISK, order, smallPool, tell } from "./fake_pool_testing.ts";

/** A unit whose medium tells of its openings, and takes what an operator decides. */
async function poolOf() {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  let now: { openings: Opening[]; sequence: number } = {
    openings: testingOpenings("b5 a2"),
    sequence: 9,
  };
  const asked: MediumChange[] = [];
  const answer = unit!.answer.bind(unit!);
  unit!.answer = (async (name, body) => {
    if (name !== "MEDIUM_CHANGE") return await answer(name, body);
    const change = body as MediumChange;
    asked.push(change);
    now = {
      openings: [...testingOpenings("z90"), ...change.past!.openings],
      sequence: 90,
    };
    unit!.revision++;
    return { medium: null } as never;
  }) as typeof answer;
  await tell(world, unit!, (info) => ({ ...info, media: [{ ...info.media[0]!, ...now }] }));
  /** It is as this from now on. */
  const be = async (sequence: number, openings: string) => {
    now = { openings: testingOpenings(openings), sequence };
    unit!.revision++;
    await world.heartbeat(unit!, String(unit!.revision));
    await world.pass(1000);
  };
  const subjects = () => world.station.api.differences().map(({ subject }) => subject);
  return { world, unit: unit!, host, be, subjects, asked };
}

const SUBJECT = 'medium /dev/u1 of unit "u1"';

Deno.test("that a unit was put back to before is a difference until an operator takes it as it is", async () => {
  const { world, unit, be, subjects, asked } = await poolOf();
  await be(9, "b5 a2");
  assert.deepEqual(subjects(), []);
  await be(4, "c4 a2");
  await be(30, "e20 d10 c4 a2");
  const [told] = world.station.api.differences();
  assert.equal(told?.subject, SUBJECT);
  assert.match(told!.held, /^older: .*\(sequence 9\).* flushed since may be gone from it$/);
  const { id } = unit.info().media[0]!;
  assert.match(told!.waits!, new RegExp(`dvsan ctl media adopt u1 ${id} --yes$`));
  const events = await world.station.api.events({ after: 0, limit: 1000 });
  assert.equal(events.filter(({ kind }) => kind === "medium.older").length, 1);
  const at = { unit: "u1", medium: id };
  await assert.rejects(
    Promise.try(() => world.station.api.changeMedium(at, { action: "adopt", yes: false }, "ann")),
    /its label has not come of .* may be gone from it.* add --yes/,
  );
  const order = { action: "adopt", yes: true } as const;
  const task = await world.station.api.changeMedium(at, order, "ann");
  assert.equal((await world.task(task.id)).state, "done");
  assert.deepEqual(asked.map(({ past }) => past), [
    { openings: testingOpenings("b5 a2"), sequence: 9 },
  ]);
  assert.deepEqual(subjects(), []);
  await world.end();
});

Deno.test("a station that was killed remembers what a medium was, and that it is older", async () => {
  const { world, unit, be, subjects } = await poolOf();
  const again = async () => {
    await world.pass(60_000);
    await world.crash();
    await world.join(unit);
    await world.pass(1000);
  };
  await again();
  await be(4, "c4 a2");
  assert.deepEqual(subjects(), [SUBJECT]);
  await again();
  assert.deepEqual(subjects(), [SUBJECT]);
  await be(12, "f12 b5 a2");
  assert.deepEqual(subjects(), [], "the right one is back");
  await world.end();
});

Deno.test("a token that was taken back is fenced again on a unit that was put back to before", async () => {
  const { world, unit, host, be } = await poolOf();
  const access = async (direct: boolean) =>
    await world.task((await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct })).task.id);
  assert.equal((await access(true)).state, "done");
  const before = new Map(unit.volumes);
  assert.equal((await access(false)).state, "done");
  unit.volumes.clear();
  for (const [id, volume] of before) unit.volumes.set(id, volume);
  await be(4, "c4 a2");
  await world.pass(5000);
  const [volume] = unit.volumes.values();
  assert.notEqual(volume!.grant!.direct, undefined);
  assert.equal(volume!.grant!.state, "fenced");
  await world.end();
});

Deno.test("an older medium that is carried to another unit is adopted by who was told of it alone", async () => {
  const { world, units: [home, other] } = await smallPool([10, 20]);
  const [own] = home!.info().media;
  const be = (sequence: number, openings: string) =>
    tell(world, home!, (info) => {
      const now = { sequence, openings: testingOpenings(openings) };
      return { ...info, media: [{ ...own!, ...now }] };
    });
  await be(9, "b5 a2");
  await be(30, "e20 c4 a2");
  const away = { ...own!, path: "", state: "missing" as const, sequence: 30 };
  await tell(world, home!, (info) => ({ ...info, media: [away] }));
  const carried = { ...own!, path: "/dev/new", state: "foreign" as const, sequence: 30 };
  await tell(world, other!, (info) => ({ ...info, media: [...info.media, carried] }));
  const at = { unit: "u2", medium: own!.id };
  await assert.rejects(
    Promise.try(() => world.station.api.changeMedium(at, { action: "adopt", yes: false }, "ann")),
    /unit "u1".*its label has not come of .* may be gone from it.* add --yes/,
  );
  await world.end();
});

Deno.test("nobody is granted anything new on a unit that was put back", async () => {
  const { world, unit, host, be } = await poolOf();
  await be(4, "c4 a2");
  const second = "22222222-2222-4222-8222-222222222222";
  await assert.rejects(
    world.ask(host, "STORAGE_REQUEST", order("more", 1, second)),
    /no room\. "u1" its medium \/dev\/u1 is older than before/,
  );
  // What is granted stays.
  assert.deepEqual([...unit.volumes.values()].map(({ grant }) => grant?.state), ["active"]);
  await world.end();
});
