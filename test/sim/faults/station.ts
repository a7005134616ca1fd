import type { Scene } from "../scenario/scene.ts";

/** The catalog is restored from an old copy, damaged, or lost. */
export function catalog(_scene: Scene): void {}

/** The station runs twice for a while, with one key. */
export function clone(_scene: Scene): void {}
