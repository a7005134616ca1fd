import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { WEB_PAGE_ITEMS, WEB_PAGE_ITEMS_MAX } from "../protocol/core/limits.ts";
import type { WebVariables } from "./auth.ts";
import { LOAD_KINDS, LoadRow } from "./load_views.ts";
import { answer, type App, body, security } from "./rest_parts.ts";
import { addCatalog, addRecovery } from "./rest_recovery.ts";
import {
  AllocationInput,
  AllocationView,
  DiskCreateInput,
  DiskGrowInput,
  DiskView,
  EventRecord,
  HostView,
  Id,
  NodeView,
  PoolView,
  type StationApi,
  TaskRecord,
  UnitView,
  VolumeView,
} from "./station_api.ts";

const ById = z.object({ id: Id });
const Page = z.object({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(WEB_PAGE_ITEMS_MAX).default(WEB_PAGE_ITEMS),
});
const Limit = Page.pick({ limit: true });

/** Registers the reading half of the API. */
function addReads(app: App, station: StationApi): void {
  const list = <S extends z.ZodType>(path: string, summary: string, schema: S) =>
    createRoute({ method: "get", path, summary, security, responses: answer(200, schema) });

  app.openapi(list("/pool", "The storage pool in figures", PoolView), (c) => {
    return c.json(station.pool(), 200);
  });
  app.openapi(list("/units", "Units and their media", z.array(UnitView)), (c) => {
    return c.json(station.units(), 200);
  });
  app.openapi(list("/hosts", "Hosts, their quota and disks", z.array(HostView)), (c) => {
    return c.json(station.hosts(), 200);
  });
  app.openapi(list("/volumes", "Volumes on all units", z.array(VolumeView)), (c) => {
    return c.json(station.volumes(), 200);
  });
  app.openapi(list("/disks", "Disks and their legs", z.array(DiskView)), (c) => {
    return c.json(station.disks(), 200);
  });

  const load = createRoute({
    method: "get",
    path: "/load/{kind}",
    summary: "What each of these does now: requests and bytes a second, latency, in flight",
    security,
    request: { params: z.object({ kind: z.enum(LOAD_KINDS) }) },
    responses: answer(200, z.array(LoadRow)),
  });
  app.openapi(load, (c) => c.json(station.load(c.req.valid("param").kind), 200));
}

/** Registers tasks and events. */
function addTasks(app: App, station: StationApi): void {
  const tasks = createRoute({
    method: "get",
    path: "/tasks",
    summary: "Tasks, newest first",
    security,
    request: { query: Limit },
    responses: answer(200, z.array(TaskRecord)),
  });
  app.openapi(tasks, async (c) => c.json(await station.tasks(c.req.valid("query")), 200));

  const one = createRoute({
    method: "get",
    path: "/tasks/{id}",
    summary: "One task with its log",
    security,
    request: { params: ById },
    responses: answer(200, TaskRecord),
  });
  app.openapi(one, async (c) => c.json(await station.task(c.req.valid("param").id), 200));

  const cancel = createRoute({
    method: "delete",
    path: "/tasks/{id}",
    summary: "Cancel a task",
    security,
    request: { params: ById },
    responses: answer(200, TaskRecord),
  });
  app.openapi(cancel, async (c) => c.json(await station.cancelTask(c.req.valid("param").id), 200));

  const events = createRoute({
    method: "get",
    path: "/events",
    summary: "Events after a number, oldest first",
    security,
    request: { query: Page },
    responses: answer(200, z.array(EventRecord)),
  });
  app.openapi(events, async (c) => c.json(await station.events(c.req.valid("query")), 200));
}

/** Registers what changes disks; each is a task, answered with 202. */
function addDisks(app: App, station: StationApi): void {
  const explain = createRoute({
    method: "post",
    path: "/allocations",
    summary: "Where a disk would go, with the reason for every unit; changes nothing",
    security,
    request: body(AllocationInput),
    responses: answer(200, AllocationView),
  });
  app.openapi(explain, (c) => c.json(station.explainAllocation(c.req.valid("json")), 200));

  const create = createRoute({
    method: "post",
    path: "/disks",
    summary: "Create a disk for a host",
    security,
    request: body(DiskCreateInput),
    responses: answer(202, TaskRecord),
  });
  app.openapi(create, async (c) => {
    return c.json(await station.createDisk(c.req.valid("json"), c.get("owner")), 202);
  });

  const grow = createRoute({
    method: "post",
    path: "/disks/{id}/grow",
    summary: "Grow a disk while it is in use",
    security,
    request: { params: ById, ...body(DiskGrowInput) },
    responses: answer(202, TaskRecord),
  });
  app.openapi(grow, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await station.growDisk(id, c.req.valid("json"), c.get("owner")), 202);
  });

  const release = createRoute({
    method: "delete",
    path: "/disks/{id}",
    summary: "Release a disk: fence its host, delete its volumes",
    security,
    request: { params: ById },
    responses: answer(202, TaskRecord),
  });
  app.openapi(release, async (c) => {
    return c.json(await station.releaseDisk(c.req.valid("param").id, c.get("owner")), 202);
  });
}

/** Registers what changes membership. */
function addNodes(app: App, station: StationApi): void {
  const approve = createRoute({
    method: "post",
    path: "/nodes/{id}/approve",
    summary: "Admit a node that waits for approval",
    security,
    request: { params: ById },
    responses: answer(200, NodeView),
  });
  app.openapi(approve, async (c) => {
    return c.json(await station.approveNode(c.req.valid("param").id, c.get("owner")), 200);
  });

  const revoke = createRoute({
    method: "post",
    path: "/nodes/{id}/revoke",
    summary: "End a node's membership and fence its grants",
    security,
    request: { params: ById },
    responses: answer(202, TaskRecord),
  });
  app.openapi(revoke, async (c) => {
    return c.json(await station.revokeNode(c.req.valid("param").id, c.get("owner")), 202);
  });

  const rotate = createRoute({
    method: "post",
    path: "/keys/{role}/rotate",
    summary: "Make a new join key; nodes that have joined are not disturbed",
    security,
    request: { params: z.object({ role: z.enum(["unit", "host"]) }) },
    responses: answer(200, z.object({ path: z.string() })),
  });
  app.openapi(rotate, async (c) => {
    return c.json(await station.rotateJoinKey(c.req.valid("param").role, c.get("owner")), 200);
  });
}

/** The REST API under /api/v1, without authentication, which the caller puts before it. */
export function createRest(station: StationApi): App {
  const app = new OpenAPIHono<WebVariables>({
    defaultHook: (result, c) => {
      if (result.success) return;
      const problems = result.error.issues.map((issue) => {
        const where = issue.path.join(".");
        return where === "" ? issue.message : `${where}: ${issue.message}`;
      });
      const message = `The request is not valid: ${problems.join("; ")}.`;
      return c.json({ error: { code: "invalid", message } }, 400);
    },
  });
  addReads(app, station);
  addTasks(app, station);
  addDisks(app, station);
  addNodes(app, station);
  addRecovery(app, station);
  addCatalog(app, station);
  app.openAPIRegistry.registerComponent("securitySchemes", "token", {
    type: "http",
    scheme: "bearer",
  });
  return app;
}
