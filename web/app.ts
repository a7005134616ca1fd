import { OpenAPIHono, z } from "@hono/zod-openapi";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import type { Clock } from "../protocol/core/clock.ts";
import { DvsanError } from "../protocol/core/errors.ts";
import { WEB_BODY_BYTES_MAX } from "../protocol/core/limits.ts";
import type { Log } from "../protocol/core/log.ts";
import { type Authorize, requireToken, type WebVariables } from "./auth.ts";
import { answerErrors } from "./errors.ts";
import { EventStreams } from "./event_stream.ts";
import { createRest } from "./rest.ts";
import { startPage } from "./start_page.ts";
import type { StationApi } from "./station_api.ts";

export interface WebOptions {
  readonly station: StationApi;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
}

/** What Hono finds wrong with a body before a schema sees it. */
function bodyError(error: HTTPException): DvsanError {
  const message = error.status === 415
    ? 'The body must be JSON: send it with the header "Content-Type: application/json".'
    : error.message.startsWith("Malformed JSON")
    ? "The body is not valid JSON. Send an object as /api/v1/openapi.json describes it."
    : error.message || "The request is not valid.";
  return new DvsanError("invalid", message);
}

/**
 * Everything the station serves over HTTP. Without a token only `/` (which says nothing about the
 * pool), `/healthz` and the description of the API answer.
 */
export function createWebApp(options: WebOptions): OpenAPIHono<WebVariables> {
  const { station } = options;
  const app = new OpenAPIHono<WebVariables>();
  app.onError((error, context) => {
    const known = error instanceof HTTPException && error.status < 500;
    return answerErrors(options.log)(known ? bodyError(error) : error, context);
  });
  app.notFound((c) => {
    const message = `There is nothing at ${c.req.method} ${c.req.path}. ` +
      "GET /api/v1/openapi.json describes the API.";
    return c.json({ error: { code: "not-found", message } }, 404);
  });
  app.use(secureHeaders());
  // Its length must be told: bodyLimit() would copy any other body, and Deno warns about the copy.
  app.use(async (c, next) => {
    if (!c.req.raw.headers.has("transfer-encoding")) return await next();
    const message = "The body's length is missing. Send it with Content-Length, not in chunks.";
    return c.json({ error: { code: "invalid", message } }, 411);
  });
  app.use(bodyLimit({
    maxSize: WEB_BODY_BYTES_MAX,
    onError: (c) => {
      const message = `The body is larger than ${WEB_BODY_BYTES_MAX} bytes.`;
      return c.json({ error: { code: "limit", message } }, 413);
    },
  }));
  app.get("/", (c) => c.html(startPage(options.version)));
  app.get("/healthz", (c) => {
    const { ok, state } = station.health();
    return c.json({ ok, state }, ok ? 200 : 503);
  });

  const streams = new EventStreams({ station, clock: options.clock });
  describeEventStream(app);
  app.doc31("/api/v1/openapi.json", {
    openapi: "3.1.0",
    info: { title: "dvsan station", version: options.version },
  });
  app.use("/api/v1/*", requireToken(options.authorize));
  app.get("/api/v1/health", (c) => c.json(station.health()));
  app.get("/api/v1/events/stream", (c) => {
    const text = c.req.header("Last-Event-ID") ?? c.req.query("after") ?? "0";
    if (!/^\d{1,15}$/.test(text)) {
      throw new DvsanError("invalid", `"${text.slice(0, 40)}" is not an event number.`);
    }
    return streams.stream(c, Number(text));
  });
  app.route("/api/v1", createRest(station));
  return app;
}

/** It is no route of @hono/zod-openapi: that knows no streams. */
function describeEventStream(app: OpenAPIHono<WebVariables>): void {
  app.openAPIRegistry.registerPath({
    method: "get",
    path: "/api/v1/events/stream",
    summary: "Server-sent events after a number, then every new one",
    security: [{ token: [] }],
    request: { query: z.object({ after: z.coerce.number().int().nonnegative().optional() }) },
    responses: {
      200: {
        description:
          "A stream of events; the id is the event's number. Last-Event-ID goes before `after`",
        content: { "text/event-stream": { schema: z.string() } },
      },
    },
  });
}
