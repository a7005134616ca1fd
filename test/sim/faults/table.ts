import type { FaultKind } from "../scenario/plan.ts";
import type { Scene } from "../scenario/scene.ts";
import { full, mediaErrors, stalls, unplug } from "./media.ts";
import { catalog, clone } from "./station.ts";
import { copy, rollback, swap } from "./media_moves.ts";
import { cut, replays, slow, streams, weather } from "./network.ts";
import { adopt } from "./media_adoption.ts";
import { direct, revoke } from "./people.ts";
import { clocks, kill, midCall, power, restart } from "./processes.ts";
import { wipe } from "./wipes.ts";

/** What each kind of fault does when it strikes. */
export const STRIKES: Readonly<Record<FaultKind, (scene: Scene) => void>> = {
  weather,
  cut,
  slow,
  streams,
  replays,
  "media-errors": mediaErrors,
  stalls,
  full,
  clocks,
  kill,
  "mid-call": midCall,
  power,
  restart,
  catalog,
  clone,
  swap,
  rollback,
  copy,
  revoke,
  wipe,
  direct,
  adopt,
  unplug,
  users: ({ users }) => users.act(),
};
