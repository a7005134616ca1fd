import { Buffer } from "node:buffer";
import { COMMAND, OPTION, REQUEST_MAGIC } from "../../../protocol/nbd/constants.ts";

/** What clients send, as bytes. */

/** Client flags, an option of no concern, and GO. */
export function opening(exportName: string): Uint8Array {
  const name = Buffer.from(exportName);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(name.length);
  return Buffer.concat([
    Buffer.alloc(4),
    option(OPTION.structuredReply, new Uint8Array(0)),
    option(OPTION.go, Buffer.concat([size, name, Buffer.alloc(2)])),
  ]);
}

export function request(
  kind: "read" | "write" | "trim" | "writeZeroes",
  o: { readonly position: number; readonly length: number; readonly payload?: Uint8Array },
): Uint8Array {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(REQUEST_MAGIC);
  header.writeUInt16BE(COMMAND[kind], 6);
  header.writeBigUInt64BE(BigInt(o.position), 16);
  header.writeUInt32BE(o.length, 24);
  return Buffer.concat([header, o.payload ?? new Uint8Array(0)]);
}

function option(number: number, data: Uint8Array): Uint8Array {
  const header = Buffer.alloc(16);
  header.write("IHAVEOPT");
  header.writeUInt32BE(number, 8);
  header.writeUInt32BE(data.length, 12);
  return Buffer.concat([header, data]);
}
