import assert from "node:assert/strict";
import { REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import { ClientRequest } from "./client_request.ts";
import { CLIENT_SLOTS, ClientSlots } from "./client_slots.ts";

const HEADERS = new DataView(new ArrayBuffer(CLIENT_SLOTS * REQUEST_HEADER_BYTES));

/** Sends a request, and answers the cookie that its header has. */
function send(slots: ClientSlots): { request: ClientRequest; cookie: [number, number] } {
  slots.put(new ClientRequest());
  const request = slots.nextUnsent(HEADERS, 0);
  const at = request.slot * REQUEST_HEADER_BYTES + 8;
  return { request, cookie: [HEADERS.getUint32(at), HEADERS.getUint32(at + 4)] };
}

Deno.test("ClientSlots finds a request by its own cookie, until it was answered", () => {
  const slots = new ClientSlots();
  const { request, cookie } = send(slots);
  assert.equal(slots.find(...cookie), request);
  slots.release(request);
  assert.equal(slots.find(...cookie), null);
});

Deno.test("ClientSlots takes no second answer to an old request for a newer one's", () => {
  const slots = new ClientSlots();
  const old = send(slots);
  slots.release(old.request);
  const { request, cookie } = send(slots);
  assert.equal(cookie[1], old.cookie[1], "it has the old one's slot");
  assert.equal(slots.find(...old.cookie), null);
  assert.equal(slots.find(...cookie), request);
});

Deno.test("ClientSlots finds nothing that was not sent, nor by a slot that there is none of", () => {
  const slots = new ClientSlots();
  slots.put(new ClientRequest());
  assert.equal(slots.find(1, 0), null);
  assert.equal(slots.find(0, 0), null);
  for (const slot of [1, CLIENT_SLOTS - 1, CLIENT_SLOTS, 2 ** 32 - 1]) {
    assert.equal(slots.find(0, slot), null);
  }
});
