import assert from "node:assert/strict";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { order, smallPool } from "./fake_pool_testing.ts";

const TWIN = "33333333-3333-4333-8333-333333333333";

async function poolWith(change: (media: MediumInfo[]) => MediumInfo[]) {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const info = unit!.info.bind(unit);
  unit!.info = () => ({ ...info(), media: change(info().media) });
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  await world.pass(1000);
  return { world, unit: unit!, api: world.station.api };
}

Deno.test("of two media with one id none is told to be adopted, and no order takes one of them", async () => {
  const { world, api } = await poolWith(([own]) =>
    ["/dev/x", "/dev/y"].reduce(
      (media, path) => [...media, { ...own!, id: TWIN, path, state: "foreign" as const }],
      [own!],
    )
  );
  const told = api.differences();
  assert.equal(told.length, 2);
  for (const { waits } of told) {
    assert.match(
      waits!,
      /takes away all but one of \/dev\/x and \/dev\/y, .* and restarts the unit$/,
    );
  }
  for (const medium of [TWIN, "/dev/y"]) {
    await assert.rejects(
      Promise.try(() =>
        api.changeMedium({ unit: "u1", medium }, { action: "adopt", yes: true }, "ann")
      ),
      /^DvsanError: Cannot adopt .*takes away all but one of \/dev\/x and \/dev\/y/,
    );
  }
  await world.end();
});

Deno.test("a copy beside a poisoned medium does not hinder its being opened anew", async () => {
  const { world, unit, api } = await poolWith(([own]) => [
    { ...own!, path: "/dev/copy", state: "duplicate" },
    { ...own!, state: "poisoned", reason: "a flush failed" },
  ]);
  const { id } = unit.info().media[0]!;
  const waits = api.differences().map((one) => one.waits).join("\n");
  assert.match(waits, new RegExp(`dvsan ctl media reopen u1 ${id}`));
  const order = { action: "reopen", yes: true } as const;
  const task = await api.changeMedium({ unit: "u1", medium: id }, order, "ann");
  assert.equal(task.title, 'Reopen medium /dev/u1 of unit "u1"');
  await world.end();
});

Deno.test("what may be on another medium that is not served is not called lost with this one", async () => {
  const forget = async (media: MediumInfo[]) => {
    const { world, unit, api } = await poolWith(() => media);
    const info = unit.info.bind(unit);
    unit.info = () => ({ ...info(), volumes: [] });
    unit.revision++;
    await world.heartbeat(unit, String(unit.revision));
    await world.pass(1000);
    const at = { unit: "u1", medium: TWIN };
    const error = await Promise.try(() =>
      api.changeMedium(at, { action: "forget", yes: false }, "ann")
    ).then(() => "", String);
    await world.end();
    return error;
  };
  const gone: MediumInfo = {
    ...{ id: TWIN, path: "", state: "missing", reason: "none of the paths holds it", sequence: 3 },
    ...{ sizeBytes: 0, freeBytes: 0, zeroedBytes: 0, largestVolumeBytes: 0, errors: 0 },
  };
  const other: MediumInfo = {
    ...{ ...gone, id: "44444444-4444-4444-8444-444444444444", path: "/dev/z" },
    ...{ state: "stale", reason: "an old copy" },
  };
  assert.match(await forget([gone]), /being sure: lost for good: leg 0 of disk "db" \(4 GiB\)\. /);
  assert.match(
    await forget([gone, other]),
    /being sure: lost for good unless it is on \/dev\/z: leg 0 of disk "db" \(4 GiB\)\. /,
  );
});

Deno.test("a volume whose media do not fit together is told what can be done with it", async () => {
  const { world, unit, api } = await poolWith((media) => media);
  for (const [id, volume] of unit.volumes) {
    unit.volumes.set(id, { ...volume, state: "failed", reason: "records that no crash leaves" });
  }
  unit.revision++;
  await world.heartbeat(unit, String(unit.revision));
  await world.pass(1000);
  const [shown] = api.differences();
  assert.match(shown!.waits!, /no crash leaves; .*dvsan ctl disk release db$/);
  await world.task((await api.releaseDisk("db", "admin")).id);
  await world.pass(1000);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
