import { CONTROL_MUTATIONS } from "./table_control.ts";
import type { Mutation } from "./mutation.ts";

/** Every bug that the simulator must find. */
export const MUTATIONS: readonly Mutation[] = [...CONTROL_MUTATIONS];
