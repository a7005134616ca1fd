import type { Scene } from "../scenario/scene.ts";

/** An operator ends a host's membership. */
export function revoke(_scene: Scene): void {}
