import { Buffer } from "node:buffer";

const LINE_CHARACTERS = 64;

/** A certificate in PEM (RFC 7468). */
export function pemOf(der: Uint8Array): string {
  const text = Buffer.from(der).toString("base64");
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += LINE_CHARACTERS) {
    lines.push(text.slice(at, at + LINE_CHARACTERS));
  }
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Each certificate of a PEM file by itself, in order; whatever else it holds is left out. */
export function certificatesInPem(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
