import { DvsanError } from "../../protocol/core/errors.ts";
import type { Given } from "../process/commands.ts";
import { choiceFlag, pathFlag, withDefault } from "../process/flags.ts";
import type { TlsSettings } from "../process/settings.ts";
import { requirePath } from "../process/system_process.ts";

export const TLS_FLAGS = {
  tls: withDefault(
    choiceFlag(["off", "allow", "require"], "TLS on data connections: never, if asked for, always"),
    "off",
  ),
  "tls-certificate": pathFlag("FILE", "Own certificate, PEM (default the cluster's)"),
  "tls-key": pathFlag("FILE", "Its private key, PEM"),
  "tls-ca": pathFlag("FILE", "Whose certificates are trusted, PEM: they sign peers' directly"),
};

type TlsGiven = Given<typeof TLS_FLAGS>;

/** Of a member of the pool: all files by hand, or none. */
export function nodeTls(given: TlsGiven): TlsSettings {
  const tls = tlsSettings(given);
  if ((tls.certificate === null) === (tls.authorities === null)) return tls;
  throw usage("Cannot use --tls-certificate without --tls-ca, or the other way round. Give both.");
}

/** Of an export that stands alone: with --tls-ca only clients with a certificate are let in. */
export function standAloneTls(given: TlsGiven): TlsSettings {
  const tls = tlsSettings(given);
  if (tls.policy === "off" || tls.certificate !== null) return tls;
  throw usage(
    `Cannot use --tls ${tls.policy} with --export: there is no certificate. ` +
      "Give --tls-certificate and --tls-key.",
  );
}

function tlsSettings({ flags }: TlsGiven): TlsSettings {
  const names = ["tls-certificate", "tls-key", "tls-ca"] as const;
  for (const name of names) {
    const path = flags[name];
    if (path === null) continue;
    if (flags.tls === "off") {
      throw usage(`Cannot use --${name} with --tls off. Give --tls allow or --tls require too.`);
    }
    requirePath(path, `--${name}`);
  }
  if ((flags["tls-certificate"] === null) !== (flags["tls-key"] === null)) {
    throw usage("Cannot use --tls-certificate without --tls-key, or it alone. Give both.");
  }
  return {
    policy: flags.tls,
    certificate: flags["tls-certificate"],
    key: flags["tls-key"],
    authorities: flags["tls-ca"],
  };
}

function usage(message: string): DvsanError {
  return new DvsanError("usage", message);
}
