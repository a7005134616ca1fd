import type { KeptSeed } from "./kept_seeds.ts";

/** Found since rare kinds of faults are also drawn in pairs and triples, by hand. */
export const DRAWN_TOGETHER: readonly KeptSeed[] = [
  {
    seed: 915_830_658,
    only: ["restart", "media-errors", "adopt"],
    reason: "a heartbeat while a unit's media were being closed ended its process by an assertion",
  },
  {
    seed: 829_691_121,
    only: ["power", "kill"],
    reason: "a replay put zeroes back over a later durable write, and the host ended within it",
  },
  {
    seed: 83_142_950,
    only: ["wipe", "kill", "media-errors", "unplug"],
    reason:
      "a medium was given up while its label was being written, and the simulator took its disks " +
      "for nobody's",
  },
  {
    seed: 170_321_933,
    only: ["power", "kill", "mid-call"],
    reason:
      "the checker of told losses missed what had been replaced by a durable write before a power " +
      "cut took the block's newest",
  },
  {
    seed: 384_414_520,
    only: ["rollback", "slow", "power", "stalls", "restart", "adopt", "users"],
    reason: "the checker of blocks did not know that a host repeats a durable trim before a flush",
  },
  {
    seed: 753_324_535,
    only: ["full", "slow", "users"],
    reason: "nobody asked again for a release that a full catalog could not take down",
  },
  {
    seed: 462_186_864,
    only: ["weather", "clocks", "streams", "users"],
    reason: "the bounds did not wait for what a consumer had left under way that had gone",
  },
  {
    seed: 710_005,
    only: ["catalog", "clone", "weather", "users"],
    reason: "nobody went on with a release whose task was gone with a part of the catalog",
  },
  {
    seed: 720_108,
    only: ["adopt", "mid-call", "power", "users"],
    reason: "a host that came before the units was never told that its disk was gone",
  },
  {
    seed: 760_073,
    only: ["catalog", "weather", "full", "users"],
    reason:
      "the checker of labels took what a growth had left on a full medium for a label that counts",
  },
  {
    seed: 760_105,
    only: ["copy", "stalls", "kill", "users"],
    reason: "of two volumes that were made side by side one was given a number that was not kept",
  },
  {
    seed: 780_062,
    only: ["full", "power", "mid-call", "users"],
    reason: "a growth that was begun ended undone, as a later start's catalog was full",
  },
  {
    seed: 400_237,
    only: ["catalog", "adopt", "media-errors", "cut", "replays", "users"],
    reason: "a medium was in order again before the operator who reopened it was answered",
  },
  {
    seed: 810_023,
    only: ["users", "media-errors", "unplug", "full", "kill"],
    reason: "a full state directory took no mark of a poisoned medium before its unit was killed",
  },
  {
    seed: 820_476,
    only: ["swap", "adopt", "restart", "users"],
    reason: "a volume that was made twice was granted on both of its media",
  },
  {
    seed: 870_034,
    only: ["unplug", "adopt", "users", "restart"],
    reason: "a unit whose volume was just deleted at another one was not looked at again",
  },
  {
    seed: 870_003,
    only: ["full", "mid-call", "users", "unplug"],
    reason: "a unit's new address was kept, and its station killed before the hosts' maps were",
  },
  {
    seed: 815_107,
    only: ["users", "media-errors", "unplug", "adopt", "kill", "power", "full"],
    reason: "a disk that a full state directory kept from being attached was not tried again",
  },
  {
    seed: 891_208,
    only: ["stalls", "copy", "adopt", "users"],
    reason: "the checker of told losses took what lay beneath a torn write for lost with it",
  },
  {
    seed: 891_196,
    only: ["wipe", "adopt", "full", "users"],
    reason: "a medium that was lost before it was adopted could be given up on no unit",
  },
  {
    seed: 891_709,
    only: ["media-errors", "adopt", "copy", "rollback", "users"],
    reason: "a deletion that an opening could not finish on a label was told as done",
  },
  {
    seed: 891_911,
    only: ["mid-call", "restart", "media-errors", "adopt", "users"],
    reason: "the checker of extents took a medium that was carried away for served where it is",
  },
  {
    seed: 431_101,
    only: ["catalog", "adopt", "mid-call", "media-errors", "users"],
    reason: "a leg that was found half made stayed so, once its disk's other leg was granted again",
  },
  {
    seed: 430_479,
    only: ["swap", "rollback", "streams", "cut", "clone", "users"],
    reason: "a twin gave away the room that a new disk was promised, and nobody gave the disk up",
  },
  {
    seed: 431_081,
    only: ["copy", "catalog", "users"],
    reason: "a bit had flipped in an event, which nobody left out of the catalog",
  },
  {
    seed: 433_073,
    only: ["copy", "weather", "revoke", "kill", "catalog", "mid-call", "users"],
    reason: "checkers did not know of a grant on a label whose acknowledgement was cut off",
  },
  {
    seed: 435_012,
    only: ["restart", "adopt", "stalls"],
    reason: "a unit that had ended wrote to a label that its next process had written since",
  },
  {
    seed: 897_017,
    only: ["stalls", "rollback", "users"],
    reason: "a leg was put behind another whose last growth had been granted unheard",
  },
  {
    seed: 898_438,
    only: ["kill", "unplug"],
    reason: "a write that failed was seen, and is gone as its host repeats an older one: no loss",
  },
  {
    seed: 898_877,
    only: ["catalog", "adopt", "kill", "users"],
    reason: "a volume's two makings were taken over, the second as if it were the first's part",
  },
  {
    seed: 436_878,
    only: ["stalls", "cut", "adopt", "clone", "users"],
    reason: "a disk was to be made on a unit that had lost its last medium, with no way out told",
  },
  {
    seed: 899_019,
    only: ["stalls", "revoke", "mid-call", "kill", "users"],
    reason:
      "a host was judged while it waited for a unit's answer that had gone with the unit's power",
  },
  {
    seed: 910_743,
    only: ["adopt", "clone", "users"],
    reason:
      "a disk that an operator had begun at the station could not be made, and nobody opened it",
  },
  {
    seed: 910_693,
    only: ["clone", "unplug", "users"],
    reason:
      "the first leg of a disk that another station had begun waited for a second one for ever",
  },
  {
    seed: 931_265,
    only: ["rollback", "clone", "users"],
    reason: "a disk that was given back and could not be made was not given back again",
  },
];
