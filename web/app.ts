import { OpenAPIHono } from "@hono/zod-openapi";
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

/**
 * Everything the station serves over HTTP. Without a token only `/` (which says nothing about the
 * pool), `/healthz` and the description of the API answer.
 */
export function createWebApp(options: WebOptions): OpenAPIHono<WebVariables> {
  const { station } = options;
  const app = new OpenAPIHono<WebVariables>();
  app.onError((error, context) => {
    const known = error instanceof HTTPException && error.status < 500
      ? new DvsanError("invalid", error.message || "The request is not valid.")
      : error;
    return answerErrors(options.log)(known, context);
  });
  app.notFound((c) => {
    const message = `There is nothing at ${c.req.method} ${c.req.path}. ` +
      "GET /api/v1/openapi.json describes the API.";
    return c.json({ error: { code: "not-found", message } }, 404);
  });
  app.use(secureHeaders());
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
