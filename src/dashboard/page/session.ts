// Who is signed in, kept in this tab's session storage and nowhere else. A token in the address's fragment is taken out
// of it before anything else happens; none is ever put into a query string.

const KEY = "pulsewire.session";

export type Session =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "oidc"; readonly token: string; readonly refreshToken: string | null }
  | { readonly kind: "demo"; readonly tenantId: string };

/** Takes a token out of the fragment, and out of the address. */
export function takeFragment(): Session | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (!fragment.has("token")) return null;
  const token = fragment.get("token")?.trim() ?? "";
  history.replaceState(null, "", `${location.pathname}${location.search}#/fleet`);
  return token === "" ? null : { kind: "token", token };
}

export function readSession(): Session | null {
  const stored = sessionStorage.getItem(KEY);
  if (stored === null) return null;
  try {
    return JSON.parse(stored) as Session;
  } catch {
    return null;
  }
}

export function keepSession(session: Session): void {
  sessionStorage.setItem(KEY, JSON.stringify(session));
}

export function forgetSession(): void {
  sessionStorage.removeItem(KEY);
}

export interface TokenClaims {
  readonly tenantId: string | null;
  readonly expiresMs: number | null;
}

/** What a token says of itself, for titles and notices only: nothing here trusts it. */
export function claimsOf(token: string): TokenClaims {
  try {
    const payload = token.split(".")[1] ?? "";
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    return {
      tenantId: typeof claims.tenant_id === "string" ? claims.tenant_id : null,
      expiresMs: typeof claims.exp === "number" ? claims.exp * 1_000 : null,
    };
  } catch {
    return { tenantId: null, expiresMs: null };
  }
}
