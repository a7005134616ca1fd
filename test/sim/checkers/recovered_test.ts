import assert from "node:assert/strict";
import { encodeHeader, packetHeader, type PacketType } from "../../../protocol/config/packet.ts";
import { RecoveredChecker } from "./recovered.ts";
import { Complaints } from "./testing_history.ts";

const TAG = 16;

function watched() {
  const complaints = new Complaints();
  const kept = new Set<string>();
  const checker = new RecoveredChecker(complaints, {
    machineAt: (address) => address === "10.0.0.1" ? "station" : "twin1",
    isKept: (station) => kept.has(station),
  });
  const send = (type: PacketType, address = "10.0.0.1") => {
    const ids = { cluster: new Uint8Array(16), session: "ab".repeat(16) };
    const header = encodeHeader(packetHeader({ type, kind: "sealed", ...ids }), TAG);
    const packet = new Uint8Array(header.length + TAG);
    packet.set(header);
    checker.sent({ packet, from: { address, port: 10810 } });
  };
  const says = (kind: string, process = "station#2") => checker.happened({ process, kind });
  return { complaints, kept, checker, send, says };
}

Deno.test("recovered: a fence or a deletion before the confirmation is caught", () => {
  for (const type of ["ACCESS_REVOKE", "VOLUME_DELETE"] as const) {
    const { complaints, send, says } = watched();
    says("station.started");
    send(type);
    says("station.recovered");
    send("ACCESS_GRANT");
    send(type, "10.0.0.2");
    assert.deepEqual(complaints.texts, []);
    send(type);
    assert.match(complaints.texts.join(), /station sent .* although station#2 said .*recovered/);
  }
});

Deno.test("recovered: after the confirmation a station may take away what it wants to", () => {
  const { complaints, checker, send, says } = watched();
  says("station.recovered");
  says("station.confirmed");
  send("VOLUME_DELETE");
  assert.deepEqual([complaints.texts, checker.judged], [[], 1]);
});

Deno.test("recovered: the next run of a station is behind by what its catalog says", () => {
  const { complaints, kept, send, says } = watched();
  says("station.recovered");
  // It was killed before it could write that down.
  says("station.started", "station#3");
  send("VOLUME_DELETE");
  assert.deepEqual(complaints.texts, []);
  kept.add("station");
  says("station.started", "station#4");
  send("VOLUME_DELETE");
  assert.match(complaints.texts.join(), /although station#4 began as recovered/);
});

Deno.test("recovered: one that gave way to another orders nothing any more", () => {
  const { complaints, send, says } = watched();
  says("station.superseded");
  send("ACCESS_REVOKE");
  assert.match(complaints.texts.join(), /although station#2 said station.superseded/);
});
