import type { OpenAPIHono, z } from "@hono/zod-openapi";
import type { WebVariables } from "./auth.ts";
import { ErrorBody } from "./errors.ts";

/** What the routes of the API have in common. */

export type App = OpenAPIHono<WebVariables>;

export const security = [{ token: [] }];

const failure = (description: string) => ({
  description,
  content: { "application/json": { schema: ErrorBody } },
});

const FAILURES = {
  400: failure("The input is not valid"),
  401: failure("No valid token"),
  404: failure("No such object"),
  409: failure("Refused in the present state"),
} as const;

export const body = <S extends z.ZodType>(schema: S) => ({
  body: { required: true, content: { "application/json": { schema } } },
});

export const answer = <S extends z.ZodType, C extends 200 | 202>(status: C, schema: S) =>
  ({
    [status]: { description: "Success", content: { "application/json": { schema } } },
    ...FAILURES,
  }) as
    & { [K in C]: { description: string; content: { "application/json": { schema: S } } } }
    & typeof FAILURES;
