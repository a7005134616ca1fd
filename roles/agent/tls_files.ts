import { createPrivateKey, X509Certificate } from "node:crypto";
import { certificatesInPem } from "../../protocol/certificates/pem.ts";
import { fromUtf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { TLS_FILE_BYTES_MAX } from "../../protocol/core/limits.ts";
import type { TlsCredentials } from "../../storage/tls/messages.ts";
import type { ProcessContext } from "../process/context.ts";
import type { TlsSettings } from "../process/settings.ts";

/**
 * What the user's files say, or null when none were named. DvsanError "usage" when one cannot be
 * used, so that it is known at the start and not at the first connection.
 */
export function credentialsOfFiles(
  settings: TlsSettings,
  process: Pick<ProcessContext, "readFile">,
): TlsCredentials | null {
  const { certificate, key, authorities } = settings;
  if (certificate === null || key === null) return null;
  const [chain, certificates] = readCertificates(certificate, process);
  const keyText = readText(key, process);
  checkKey({ certificate: certificates[0]!, path: certificate }, { text: keyText, path: key });
  return {
    certificate: chain,
    key: keyText,
    authorities: authorities === null ? [] : readCertificates(authorities, process)[1],
    verifyClients: authorities !== null,
  };
}

function readCertificates(
  path: string,
  process: Pick<ProcessContext, "readFile">,
): [text: string, certificates: string[]] {
  const text = readText(path, process);
  const certificates = certificatesInPem(text);
  try {
    for (const one of certificates) new X509Certificate(one);
  } catch (error) {
    throw unusable(path, "a certificate in it cannot be read", error);
  }
  if (certificates.length === 0) throw unusable(path, "it holds no certificate in PEM");
  return [text, certificates];
}

function checkKey(
  of: { readonly certificate: string; readonly path: string },
  key: { readonly text: string; readonly path: string },
): void {
  let fits: boolean;
  try {
    fits = new X509Certificate(of.certificate).checkPrivateKey(createPrivateKey(key.text));
  } catch (error) {
    throw unusable(key.path, "it holds no private key in PEM without a password", error);
  }
  if (!fits) throw unusable(key.path, `its key is not that of the certificate in ${of.path}`);
}

function readText(path: string, process: Pick<ProcessContext, "readFile">): string {
  const bytes = process.readFile(path);
  if (bytes.length > TLS_FILE_BYTES_MAX) {
    throw unusable(path, `it has ${bytes.length} bytes, at most ${TLS_FILE_BYTES_MAX} are read`);
  }
  return fromUtf8(bytes) ?? "";
}

function unusable(path: string, why: string, cause?: unknown): DvsanError {
  const options = cause === undefined ? {} : { cause };
  return new DvsanError("usage", `Cannot use ${path} for TLS: ${why}. Check the file.`, options);
}
