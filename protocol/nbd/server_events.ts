/** What the owner has to decide, or do, before negotiation goes on. */
export type ServerEvent =
  /** Answer with `answerExport` or `refuse`. After GO and EXPORT_NAME transmission follows. */
  | { readonly kind: "find"; readonly purpose: FindPurpose; readonly name: string }
  /** Answer with `answerList`. */
  | { readonly kind: "list" }
  /** Answer with `answerPrivate` or `refuse`. `payload` is the owner's to keep. */
  | { readonly kind: "private"; readonly option: number; readonly payload: Uint8Array }
  /**
   * Send what is in the output, then put TLS between this machine and the client, and call
   * `secured`; or close. Nothing that comes before TLS is this machine's.
   */
  | { readonly kind: "upgrade" }
  /** Send what is in the output, then transmission begins with the bytes that follow. */
  | { readonly kind: "ready" }
  /** Send what is in the output, then close. */
  | { readonly kind: "aborted" }
  /** Close: the peer does not speak this protocol, or asked for what ends by closing. */
  | { readonly kind: "dropped"; readonly reason: string };

export type FindPurpose = "info" | "go" | "export-name" | "list-contexts" | "set-contexts";
