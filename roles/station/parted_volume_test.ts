import assert from "node:assert/strict";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { order, smallPool, tell } from "./fake_pool_testing.ts";

const CARRIED = "33333333-3333-4333-8333-333333333333";

/** One of two media of a volume was carried from u2 to u1. */
async function parted(state: "foreign" | "ok") {
  const { world, units: [u1, u2], host } = await smallPool([5, 20]);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 15));
  assert.equal((await world.task(task.id)).state, "done");
  const [volume] = [...u2!.volumes.values()];
  const half: VolumeInfo = {
    ...volume!,
    media: [...volume!.media, CARRIED],
    state: "incomplete",
    reason: "a medium is not there",
  };
  await tell(world, u2!, (info) => {
    const [own] = info.media;
    const missing = { ...own!, id: CARRIED, path: "", state: "missing" as const };
    return { ...info, media: [own!, missing], volumes: [half] };
  });
  await tell(world, u1!, (info) => {
    const media = [...info.media, { ...info.media[0]!, id: CARRIED, path: "/dev/new", state }];
    const held = { ...half, grant: { ...half.grant!, state: "fenced" as const } };
    return { ...info, media, volumes: state === "ok" ? [held] : [] };
  });
  const waits = () => world.station.api.differences().map((one) => one.waits).join("\n");
  return { world, waits, u1: u1!, u2: u2! };
}

Deno.test("a medium is not adopted without asking where its volumes would lose another part", async () => {
  const { world, waits } = await parted("foreign");
  assert.match(
    waits(),
    /unit "u1" has it \(\/dev\/new, foreign\): bring it back, or adopt it there/,
  );
  const { api } = world.station;
  const at = { unit: "u1", medium: "/dev/new" };
  await assert.rejects(
    async () => await api.changeMedium(at, { action: "adopt", yes: false }, "ann"),
    /leg 0 of disk "db" has a part on it and others on media that this unit does not have.*--yes/,
  );
  await world.end();
});

Deno.test("a part that is only missing on a unit is not taken for one that is there", async () => {
  const { world, u1 } = await parted("foreign");
  const [other] = world.station.api.units().find(({ name }) => name === "u2")!.media;
  await tell(world, u1, (info) => {
    const { id } = other!;
    const missing = { ...info.media[0]!, id, path: "", state: "missing" as const };
    return { ...info, media: [...info.media, missing] };
  });
  await assert.rejects(
    async () =>
      await world.station.api.changeMedium(
        { unit: "u1", medium: "/dev/new" },
        { action: "adopt", yes: false },
        "ann",
      ),
    /has a part on it and others on media that this unit does not have/,
  );
  await world.end();
});

Deno.test("half of a volume on another unit is not called a copy that can be wiped", async () => {
  const { world, waits } = await parted("ok");
  assert.match(waits(), /is a part of a volume .*: bring all of its media to this unit/);
  assert.match(waits(), /unit "u1" has it \(\/dev\/new, ok\); once nothing here needs it/);
  assert.doesNotMatch(waits(), /wipe/);
  await world.end();
});

Deno.test("half of a volume is brought back only by who is sure that it is no copy", async () => {
  const { world, u2 } = await parted("foreign");
  await tell(world, u2, (info) => {
    const [own, missing] = info.media;
    return { ...info, media: [own!, { ...missing!, path: "/dev/back", state: "foreign" }] };
  });
  await assert.rejects(
    async () =>
      await world.station.api.changeMedium(
        { unit: "u2", medium: "/dev/back" },
        { action: "adopt", yes: false },
        "ann",
      ),
    /leg 0 of disk "db" has its other part here .*: if this medium is a copy.*--yes/,
  );
  await world.end();
});

Deno.test("half of a volume that was brought back is no copy at the unit that had it meanwhile", async () => {
  const { world, waits, u1, u2 } = await parted("ok");
  world.cut(u1);
  await world.clock.pass(60_000);
  const carried = (state: "foreign" | "ok") =>
    tell(world, u2, (info) => {
      const [own, away] = info.media;
      const volumes = info.volumes.map((volume) => {
        const grant = { ...volume.grant!, state: "fenced" as const };
        return state === "ok" ? { ...volume, state: "ready" as const, grant } : volume;
      });
      return { ...info, media: [own!, { ...away!, path: "/dev/back", state }], volumes };
    });
  await carried("foreign");
  const { answer } = u2;
  u2.answer = async (name, body) => {
    if (name !== "MEDIUM_CHANGE") return await answer.call(u2, name, body) as never;
    await carried("ok");
    return { medium: null } as never;
  };
  const at = { unit: "u2", medium: "/dev/back" };
  const task = await world.station.api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  await world.task(task.id);
  assert.doesNotMatch(waits(), /copy|wipe/);
  await world.end();
});

Deno.test("a copy that is older than what another unit had is not adopted without asking", async () => {
  const { world, units: [u1, u2] } = await smallPool([5, 5]);
  await tell(world, u1!, (info) => {
    const missing = { ...info.media[0]!, id: CARRIED, path: "", state: "missing" as const };
    return { ...info, media: [...info.media, { ...missing, sequence: 40 }] };
  });
  world.cut(u1!);
  await world.clock.pass(60_000);
  const { api } = world.station;
  const at = { unit: "u2", medium: "/dev/new" };
  const adopt = () => api.changeMedium(at, { action: "adopt", yes: false }, "ann");
  const copyOf = (sequence: number) =>
    tell(world, u2!, ({ media, ...info }) => {
      const copy = { ...media[0]!, id: CARRIED, path: "/dev/new", state: "foreign" as const };
      return { ...info, media: [media[0]!, { ...copy, sequence }] };
    });
  await copyOf(12);
  await assert.rejects(
    async () => await adopt(),
    /its label has sequence 12, and unit "u1" had it at 40: it is an old copy.*--yes/,
  );
  await copyOf(40);
  assert.equal((await adopt()).state, "queued");
  await world.end();
});

Deno.test("a medium that its unit has not missed yet may be a copy, and is not adopted without asking", async () => {
  const { world, units: [u1, u2] } = await smallPool([5, 5]);
  const { id, sequence } = u1!.info().media[0]!;
  world.cut(u1!);
  await world.clock.pass(60_000);
  await tell(world, u2!, ({ media, ...info }) => {
    const carried = { ...media[0]!, id, sequence, path: "/dev/new", state: "foreign" as const };
    return { ...info, media: [media[0]!, carried] };
  });
  const { api } = world.station;
  const at = { unit: "u2", medium: "/dev/new" };
  await assert.rejects(
    async () => await api.changeMedium(at, { action: "adopt", yes: false }, "ann"),
    /unit "u1" had it last and has not told yet that it is gone: if this is a copy.*--yes/,
  );
  const { state } = await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  assert.equal(state, "queued");
  await world.end();
});

Deno.test("a medium that another unit serves is not to be adopted, nor wiped for a copy", async () => {
  const { world, units: [, u2] } = await smallPool([5, 5]);
  const { api } = world.station;
  const [served] = api.units()[0]!.media;
  await tell(world, u2!, ({ media, ...info }) => {
    const shared = { ...media[0]!, id: served!.id, path: "/dev/shared", state: "foreign" as const };
    return { ...info, media: [media[0]!, shared] };
  });
  const [shown] = api.differences();
  assert.match(shown!.waits ?? "", /takes it away from here: unit "u1" serves it.* not be wiped/);
  await assert.rejects(
    async () =>
      await api.changeMedium(
        { unit: "u2", medium: "/dev/shared" },
        { action: "adopt", yes: true },
        "ann",
      ),
    /a copy of it, or the same device seen from both machines/,
  );
  await world.end();
});

Deno.test("a medium of whose label nothing is whole is not told to be adopted", async () => {
  const { world, units: [u1] } = await smallPool([5]);
  const { api } = world.station;
  await tell(world, u1!, ({ media, ...info }) => {
    const bad = { ...media[0]!, id: CARRIED, path: "/dev/bad", sequence: 0 };
    const reason = "copy A is damaged, copy B is damaged";
    return { ...info, media: [media[0]!, { ...bad, state: "quarantined", reason }] };
  });
  const expected =
    /label back from a copy; .* without it, and then: dvsan ctl media forget u1 3333/;
  assert.match(api.differences()[0]!.waits ?? "", expected);
  const at = { unit: "u1", medium: "/dev/bad" };
  await assert.rejects(
    async () => await api.changeMedium(at, { action: "adopt", yes: true }, "ann"),
    expected,
  );
  await world.end();
});

Deno.test("a medium whose device has shrunk is not told to be adopted, wherever it is", async () => {
  const { world, units: [u1, u2] } = await smallPool([5, 5]);
  const { api } = world.station;
  const become = (state: "quarantined" | "foreign") =>
    tell(world, u1!, ({ media: [own], ...info }) => {
      const bad = { ...own!, id: CARRIED, path: "/dev/short", sequence: 3, shrunk: true as const };
      return { ...info, media: [own!, { ...bad, state, reason: "it has shrunk" }] };
    });
  const adopt = async () => {
    const at = { unit: "u1", medium: "/dev/short" };
    await api.changeMedium(at, { action: "adopt", yes: true }, "ann");
  };
  const waits = () => api.differences().map((one) => `${one.subject} ${one.waits}`).join("\n");
  const expected = {
    quarantined: /all of its bytes; .* without it, and then: dvsan ctl media forget u1 3333/,
    foreign: /all of its bytes, or an operator who takes it away/,
  };
  for (const state of ["quarantined", "foreign"] as const) {
    await become(state);
    assert.match(waits(), expected[state]);
    assert.doesNotMatch(waits(), /adopt/);
    await assert.rejects(adopt, expected[state]);
  }
  await tell(world, u2!, ({ media: [own], ...info }) => {
    return { ...info, media: [own!, { ...own!, id: CARRIED, path: "", state: "missing" }] };
  });
  assert.match(waits(), /unit "u1" has it \(\/dev\/short, foreign\): bring it back; or there, its/);
  assert.doesNotMatch(waits(), /adopt/);
  await world.end();
});

Deno.test("a medium that has lost what it was given is not opened anew unseen, whatever else is wrong", async () => {
  const { world, units: [u1] } = await smallPool([5]);
  const { api } = world.station;
  const reopen = async () =>
    await api.changeMedium(
      { unit: "u1", medium: "/dev/u1" },
      { action: "reopen", yes: false },
      "ann",
    );
  for (const poisoned of [{ poisoned: true } as const, {}]) {
    await tell(world, u1!, ({ media, ...info }) => {
      const { poisoned: _, ...medium } = media[0]!;
      return { ...info, media: [{ ...medium, state: "failed", reason: "no label", ...poisoned }] };
    });
    if ("poisoned" in poisoned) await assert.rejects(reopen, /lost when a flush failed.*add --yes/);
    else assert.ok((await reopen()).id);
  }
  await world.end();
});

Deno.test("what cannot be done to a medium is refused with what it is for", async () => {
  const { world } = await smallPool([5]);
  const { api } = world.station;
  const at = { unit: "u1", medium: "/dev/u1" };
  for (
    const [action, states] of [
      ["adopt", "foreign, stale, moved or quarantined"],
      ["forget", "missing"],
      ["reopen", "poisoned, failed or refused"],
    ] as const
  ) {
    await assert.rejects(
      async () => await api.changeMedium(at, { action, yes: true }, "ann"),
      new RegExp(`it is ok, and ${action} is for one that is ${states}`),
    );
  }
  await world.end();
});

Deno.test("what it costs to adopt an old copy is told, and what to adopt the right one after it", async () => {
  const { world, units: [u1] } = await smallPool([5]);
  const { api } = world.station;
  const adopt = async () => {
    await api.changeMedium(
      { unit: "u1", medium: "/dev/old" },
      { action: "adopt", yes: false },
      "a",
    );
  };
  const expected = [
    [{}, /shares with other media stay unusable until the medium that was there last is put back/],
    [{ wasReplaced: true as const }, /older copy .* its place is gone, .* are used again; if this/],
  ] as const;
  for (const [what, words] of expected) {
    await tell(world, u1!, ({ media: [own], ...info }) => {
      const copy = { ...own!, id: CARRIED, path: "/dev/old", reason: "an old copy", ...what };
      return { ...info, media: [own!, { ...copy, state: "stale" }] };
    });
    await assert.rejects(adopt, words);
  }
  await world.end();
});
