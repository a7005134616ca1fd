import { createRoute, z } from "@hono/zod-openapi";
import { answer, type App, body, security } from "./rest_parts.ts";
import {
  CatalogView,
  ConfirmInput,
  DifferenceView,
  Id,
  MediumInput,
  RecoveryView,
  type StationApi,
  TaskRecord,
} from "./station_api.ts";

/** Registers what helps when station, units and hosts disagree. */
export function addRecovery(app: App, station: StationApi): void {
  const differences = createRoute({
    method: "get",
    path: "/differences",
    summary: "Everything in which station, units and hosts do not agree, in words",
    security,
    responses: answer(200, z.array(DifferenceView)),
  });
  app.openapi(differences, (c) => c.json(station.differences(), 200));

  const recovery = createRoute({
    method: "get",
    path: "/recovery",
    summary: "Whether the station may act, why not, and the list of differences to confirm",
    security,
    responses: answer(200, RecoveryView),
  });
  app.openapi(recovery, (c) => c.json(station.recovery(), 200));

  const confirm = createRoute({
    method: "post",
    path: "/recovery/confirm",
    summary: "Confirm exactly the list that was shown: fences and deletions go on",
    security,
    request: body(ConfirmInput),
    responses: answer(200, RecoveryView),
  });
  app.openapi(confirm, async (c) => {
    const { list } = c.req.valid("json");
    return c.json(await station.confirmRecovery(list, c.get("owner")), 200);
  });

  const medium = createRoute({
    method: "post",
    path: "/units/{unit}/media/{medium}",
    summary: "Adopt, forget or reopen a medium that its unit does not serve",
    security,
    request: { params: z.object({ unit: Id, medium: Id }), ...body(MediumInput) },
    responses: answer(202, TaskRecord),
  });
  app.openapi(medium, async (c) => {
    const at = c.req.valid("param");
    return c.json(await station.changeMedium(at, c.req.valid("json"), c.get("owner")), 202);
  });
}

/** Registers what looks at the catalog's file. */
export function addCatalog(app: App, station: StationApi): void {
  const check = createRoute({
    method: "get",
    path: "/catalog",
    summary: "Check the catalog's file, record by record; changes nothing",
    security,
    responses: answer(200, CatalogView),
  });
  app.openapi(check, async (c) => c.json(await station.checkCatalog(), 200));

  const repair = createRoute({
    method: "post",
    path: "/catalog/repair",
    summary: "Write the catalog anew from what is right of it",
    security,
    responses: answer(200, CatalogView),
  });
  app.openapi(repair, async (c) => c.json(await station.repairCatalog(c.get("owner")), 200));
}
