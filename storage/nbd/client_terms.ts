import {
  COMMAND,
  COMMAND_FLAGS,
  TRANSMISSION_FLAGS,
  WIRE_ERROR,
} from "../../protocol/nbd/constants.ts";
import type { ExportInfo } from "../../protocol/nbd/export_info.ts";
import type { ClientRequest } from "./client_request.ts";

/** What a client and its server agreed on before transmission. */
export interface ClientTerms {
  /** TRANSMISSION_FLAGS of the export. */
  readonly flags: number;
  readonly structuredReplies: boolean;
  /** The id of `base:allocation`; null: it was not selected. */
  readonly allocationId: number | null;
}

/** Of a client that asked for nothing: what it may do without, it does by itself. */
export const PLAIN_TERMS: ClientTerms = Object.freeze({
  flags: 0,
  structuredReplies: false,
  allocationId: null,
});

/** How an attaching to an export ended, for transmission. */
export interface ClientExport {
  readonly info: ExportInfo;
  readonly terms: ClientTerms;
}

/**
 * Answers a request that the server does not understand, as a server may: a unit of an older
 * version is no reason for a disk to fail. False for one that it does understand.
 */
export function answerHere(request: ClientRequest, terms: ClientTerms, view: DataView): boolean {
  switch (request.command) {
    case COMMAND.cache:
      // Advice, and nothing comes of it.
      return (terms.flags & TRANSMISSION_FLAGS.sendCache) === 0;
    case COMMAND.blockStatus:
      if (terms.allocationId !== null) return false;
      // What is not known counts as data.
      view.setUint32(request.off, request.length);
      view.setUint32(request.off + 4, 0);
      request.count = 1;
      return true;
    case COMMAND.writeZeroes:
      if ((request.flags & COMMAND_FLAGS.fastZero) === 0) return false;
      if ((terms.flags & TRANSMISSION_FLAGS.sendFastZero) !== 0) return false;
      request.error = WIRE_ERROR.notSupported;
      return true;
    default:
      return false;
  }
}
