/** What a node's certificate names it by. */
export function nodeUri(role: "unit" | "host", id: string): string {
  return `urn:dvsan:${role}:${id}`;
}
