import type { Command, Positional } from "../process/commands.ts";
import { countFlag, parseName, required, sizeFlag, switchFlag } from "../process/flags.ts";
import { ctlCommand, listing, parseWord, WATCH, watchable, wordOf } from "./ctl_command.ts";
import { TRUTH_COMMANDS } from "./ctl_truth_commands.ts";

const SIZE = { size: required(sizeFlag("80GB is decimal, 80GiB and 80G are binary")) };
const HOST: Positional = { name: "HOST", parse: parseWord };
const NAME: Positional = { name: "NAME", parse: parseName };
const NODE: Positional = { name: "NAME", parse: parseWord };
const DISK: Positional = { name: "NAME", parse: parseDisk };
const TASK: Positional = { name: "ID", parse: parseWord };
const ROLE: Positional = {
  name: "ROLE",
  parse: (text) => text === "unit" || text === "host" ? { value: text } : "unit or host is wanted",
};

/** A disk's name or id; HOST/NAME where two hosts have a disk of that name. */
function parseDisk(text: string): { value: string } | string {
  const parts = text.split("/");
  const bad = parts.length > 2 ? "HOST/NAME is wanted" : parts.map(parseWord).find(isText);
  return bad ?? { value: text };
}

function isText(parsed: { value: string } | string): parsed is string {
  return typeof parsed === "string";
}

const LISTINGS: readonly Command[] = [
  listing("pool", "Show the pool: its size, what is free, what runs"),
  watchable("units", "List units and their media"),
  watchable("volumes", "List volumes, grants and differences"),
  watchable("hosts", "List hosts, their quotas and disks"),
  watchable("disks", "List disks and their legs"),
  ctlCommand({
    words: "legs",
    summary: "Show what the legs of disks do, every second, until Ctrl-C",
    flags: {},
    positionals: [],
    action: () => ({ kind: "watch", what: "legs" }),
  }),
  ctlCommand({
    words: "connections",
    summary: "Show what NBD connections do, the busiest of each node, every second, until Ctrl-C",
    flags: {},
    positionals: [],
    action: () => ({ kind: "watch", what: "connections" }),
  }),
  listing("tasks", "List tasks"),
  ctlCommand({
    words: "events",
    summary: "List events",
    flags: {
      follow: switchFlag("Go on with new events as they happen"),
      after: countFlag("Only events with a higher number"),
    },
    positionals: [],
    action: ({ flags }) => ({ kind: "events", follow: flags.follow, after: flags.after }),
  }),
];

const TASKS: readonly Command[] = [
  ctlCommand({
    words: "task show",
    summary: "Show a task with its log",
    flags: WATCH,
    positionals: [TASK],
    action: (given) => ({ kind: "task", id: wordOf(given), watch: given.flags.watch }),
  }),
  ctlCommand({
    words: "task watch",
    summary: "Show a task's progress until it has ended",
    flags: {},
    positionals: [TASK],
    action: (given) => ({ kind: "task", id: wordOf(given), watch: true }),
  }),
  ctlCommand({
    words: "tasks cancel",
    summary: "Cancel a task",
    flags: {},
    positionals: [TASK],
    action: (given) => ({ kind: "task-cancel", id: wordOf(given) }),
  }),
];

const DISKS: readonly Command[] = [
  ctlCommand({
    words: "disk create",
    summary: "Create a disk for a host",
    flags: { ...SIZE, ...WATCH },
    positionals: [HOST, NAME],
    action: (given) => ({
      kind: "disk-create",
      host: wordOf(given),
      name: wordOf(given, 1),
      size: given.flags.size,
      watch: given.flags.watch,
    }),
  }),
  ctlCommand({
    words: "disk grow",
    summary: "Make a disk larger",
    flags: { ...SIZE, ...WATCH },
    positionals: [DISK],
    action: (given) => ({
      kind: "disk-grow",
      name: wordOf(given),
      size: given.flags.size,
      watch: given.flags.watch,
    }),
  }),
  ctlCommand({
    words: "disk release",
    summary: "Give a disk's space back to the pool; its data is gone",
    flags: WATCH,
    positionals: [DISK],
    action: (given) => ({ kind: "disk-release", name: wordOf(given), watch: given.flags.watch }),
  }),
  ctlCommand({
    words: "explain",
    summary: "Tell for each unit why a disk of this size would use it or not",
    flags: SIZE,
    positionals: [],
    action: ({ flags }) => ({ kind: "explain", size: flags.size }),
  }),
];

const NODES: readonly Command[] = [
  ctlCommand({
    words: "node approve",
    summary: "Admit a node that waits for it",
    flags: {},
    positionals: [NODE],
    action: (given) => ({ kind: "node-approve", name: wordOf(given) }),
  }),
  ctlCommand({
    words: "node revoke",
    summary: "End a node's sessions and fence its grants",
    flags: WATCH,
    positionals: [NODE],
    action: (given) => ({ kind: "node-revoke", name: wordOf(given), watch: given.flags.watch }),
  }),
  ctlCommand({
    words: "key rotate",
    summary: "Make a new join key for a role; nodes that have joined stay",
    flags: {},
    positionals: [ROLE],
    action: (given) => ({
      kind: "key-rotate",
      role: wordOf(given) === "host" ? "host" : "unit",
    }),
  }),
];

export const CTL_COMMANDS: readonly Command[] = [
  ...LISTINGS,
  ...TASKS,
  ...DISKS,
  ...NODES,
  ...TRUTH_COMMANDS,
];
