/** What a history's event says of who caused it; of a later release of Temporal's API than some servers. */
interface Caused {
  principal?: { type?: string | null; name?: string | null } | null;
}

/**
 * As whom the server authenticated the one who caused an event (`HistoryEvent.principal`, "Principal Attribution"): written by the server of
 * what its authorizer found out, so that no client can choose it, as it can the `identity` beside it. Temporal's own servers from 1.31 write
 * it where `frontend.enablePrincipalPropagation` is on and an authorizer is in place; the default one takes the token's `sub`.
 * @returns `type:name`, such as `jwt:alice@example.com`; undefined where the server authenticates nobody, or does not tell
 */
export function authenticatedAs(event: Caused | null | undefined): string | undefined {
  const { type, name } = event?.principal ?? {};
  return name ? `${type ?? ''}:${name}` : undefined;
}
