import type { Mutation } from "./mutation.ts";
import { CONTROL_MUTATIONS } from "./table_control.ts";
import { HOST_MUTATIONS } from "./table_host.ts";
import { MEDIA_MUTATIONS } from "./table_media.ts";
import { RETURNS_MUTATIONS } from "./table_returns.ts";
import { STATION_MUTATIONS } from "./table_station.ts";
import { TRUTH_MUTATIONS } from "./table_truth.ts";
import { UNIT_MUTATIONS } from "./table_unit.ts";

/** Every bug that the simulator must find. */
export const MUTATIONS: readonly Mutation[] = [
  ...CONTROL_MUTATIONS,
  ...TRUTH_MUTATIONS,
  ...STATION_MUTATIONS,
  ...UNIT_MUTATIONS,
  ...MEDIA_MUTATIONS,
  ...HOST_MUTATIONS,
  ...RETURNS_MUTATIONS,
];
