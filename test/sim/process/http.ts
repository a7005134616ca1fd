import { DvsanError } from "../../../protocol/core/errors.ts";
import type { HttpHandler, HttpPlace, HttpServer } from "../../../roles/process/context.ts";
import { formatEndpoint } from "../../../roles/process/endpoints.ts";
import type { Incarnation } from "./incarnation.ts";

/** The HTTP servers of all machines, by place. A request is a call: HTTP has no faults here. */
export class HttpPlaces {
  readonly #servers = new Map<string, { owner: Incarnation; handler: HttpHandler }>();

  serve(owner: Incarnation, at: HttpPlace, handler: HttpHandler): HttpServer {
    owner.enter("serve HTTP");
    const key = keyOf(at);
    if (this.#servers.has(key)) throw new DvsanError("busy", `Cannot serve HTTP on ${key}.`);
    this.#servers.set(key, { owner, handler });
    const close = () => {
      if (this.#servers.get(key)?.owner === owner) this.#servers.delete(key);
    };
    owner.onEnd(close);
    return {
      local: "socketPath" in at ? null : at,
      close: () => Promise.resolve(close()),
    };
  }

  /** The handler there, or null: nobody listens. */
  find(at: HttpPlace): { readonly owner: Incarnation; readonly handler: HttpHandler } | null {
    return this.#servers.get(keyOf(at)) ?? null;
  }
}

function keyOf(at: HttpPlace): string {
  return "socketPath" in at ? at.socketPath : formatEndpoint(at);
}
