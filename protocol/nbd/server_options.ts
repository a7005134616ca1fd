import { NBD_OPTION_BYTES_MAX, NBD_STRING_BYTES_MAX } from "../core/limits.ts";
import { OPTION, REPLY_ERROR } from "./constants.ts";

/**
 * Whether connections are secured by TLS. `off`: never. `allow`: when the client asks for it.
 * `require`: before anything else is answered.
 */
export type TlsPolicy = "off" | "allow" | "require";

/** What of a negotiation decides how an option is met. */
export interface OptionSetting {
  readonly tls: TlsPolicy;
  /** The bytes come through TLS already. */
  readonly isSecure: boolean;
  readonly structuredReplies: boolean;
}

export interface OptionRefusal {
  /** REPLY_ERROR. */
  readonly type: number;
  readonly text: string;
}

/** Options from here on belong to dvsan: "dV" in the upper half. */
const PRIVATE_FIRST = 0x64560000;
const PRIVATE_LAST = 0x6456ffff;

/** Why an option is refused without a look at its data, or null when its data is wanted. */
export function refusalBeforeData(
  option: number,
  length: number,
  setting: OptionSetting,
): OptionRefusal | null {
  if (option === OPTION.abort) return tooBig(length, NBD_OPTION_BYTES_MAX);
  if (option === OPTION.startTls) return startTlsRefusal(length, setting);
  if (setting.tls === "require" && !setting.isSecure) {
    const text = "this server requires TLS: ask for STARTTLS first";
    return { type: REPLY_ERROR.tlsRequired, text };
  }
  switch (option) {
    case OPTION.exportName:
      return tooBig(length, NBD_STRING_BYTES_MAX);
    case OPTION.info:
    case OPTION.go:
    case OPTION.listMetaContext:
      return tooBig(length, NBD_OPTION_BYTES_MAX);
    case OPTION.list:
      return length === 0 ? null : invalid("LIST does not carry data");
    case OPTION.structuredReply:
      return length === 0 ? null : invalid("STRUCTURED_REPLY does not carry data");
    case OPTION.setMetaContext:
      if (setting.structuredReplies) return tooBig(length, NBD_OPTION_BYTES_MAX);
      return invalid("SET_META_CONTEXT needs STRUCTURED_REPLY before");
    default:
      if (option >= PRIVATE_FIRST && option <= PRIVATE_LAST) {
        return tooBig(length, NBD_OPTION_BYTES_MAX);
      }
      return { type: REPLY_ERROR.unsupported, text: `option ${option} is not supported` };
  }
}

function startTlsRefusal(length: number, { tls, isSecure }: OptionSetting): OptionRefusal | null {
  if (length > 0) return invalid("STARTTLS does not carry data");
  if (isSecure) return invalid("the connection is secured by TLS already");
  if (tls !== "off") return null;
  return { type: REPLY_ERROR.policy, text: "TLS is switched off on this server" };
}

function invalid(text: string): OptionRefusal {
  return { type: REPLY_ERROR.invalid, text };
}

function tooBig(length: number, limit: number): OptionRefusal | null {
  if (length <= limit) return null;
  const text = `the option has ${length} bytes, at most ${limit} are read`;
  return { type: REPLY_ERROR.tooBig, text };
}
