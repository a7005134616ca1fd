import type { MiddlewareHandler } from "hono";

/** Says whom a bearer token belongs to, or null. Must compare in constant time. */
export type Authorize = (token: string) => string | null;

export interface WebVariables {
  Variables: { owner: string };
}

/** Lets only requests through that carry `Authorization: Bearer TOKEN`; sets `owner`. */
export function requireToken(authorize: Authorize): MiddlewareHandler<WebVariables> {
  return async function tokenRequired(context, next) {
    const header = context.req.header("Authorization") ?? "";
    const token = /^Bearer +([\x21-\x7e]+)$/i.exec(header)?.[1];
    const owner = token === undefined ? null : authorize(token);
    if (owner === null) {
      context.header("WWW-Authenticate", 'Bearer realm="dvsan"');
      const message = token === undefined
        ? 'This needs a token: send "Authorization: Bearer" with the content of admin.token from ' +
          "the station's state directory."
        : "The token is not valid. Use the content of admin.token from the station's state " +
          "directory.";
      return context.json({ error: { code: "denied", message } }, 401);
    }
    context.set("owner", owner);
    await next();
  };
}
