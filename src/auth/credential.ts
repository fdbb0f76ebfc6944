// Finds the one credential of a request; it judges where it stands and never what it says.

/** A place where a credential may stand: `?token=`, `Authorization: Bearer`, the subprotocol `bearer.…`, `?ticket=`. */
export type CredentialPlace = "query" | "header" | "subprotocol" | "ticket";

export type Credential =
  | {
    readonly kind: "token";
    readonly token: string;
    readonly place: Exclude<CredentialPlace, "ticket">;
  }
  | { readonly kind: "ticket"; readonly ticket: string }
  | { readonly kind: "missing" }
  /** More than one credential: nobody can say which was meant. */
  | { readonly kind: "ambiguous" }
  /** A `bearer.…` that no answer could select a subprotocol for. */
  | { readonly kind: "subprotocol_missing" };

export interface CredentialRequest {
  readonly url: string | URL;
  readonly headers: Headers;
}

/** The subprotocol that is selected whenever a client offers it. */
export const SUBPROTOCOL = "pulsewire";

const BEARER_PROTOCOL = "bearer.";

/** Places that are not accepted are not looked at; an empty credential is none. */
export function findCredential(
  request: CredentialRequest,
  options: { readonly accept: ReadonlySet<CredentialPlace> },
): Credential {
  const { accept } = options;
  const { searchParams } = new URL(request.url);
  const offered = offeredSubprotocols(request.headers);
  const inPlace: Record<CredentialPlace, () => readonly string[]> = {
    query: () => searchParams.getAll("token"),
    header: () => bearerTokens(request.headers.get("authorization") ?? ""),
    subprotocol: () =>
      offered
        .filter((name) => name.startsWith(BEARER_PROTOCOL))
        .map((name) => name.slice(BEARER_PROTOCOL.length)),
    ticket: () => searchParams.getAll("ticket"),
  };
  const found = [...accept].flatMap((place) =>
    inPlace[place]().filter((value) => value !== "").map((value) => ({ place, value }))
  );
  const [first] = found;
  if (first === undefined) return { kind: "missing" };
  if (found.length > 1) return { kind: "ambiguous" };
  if (first.place === "ticket") return { kind: "ticket", ticket: first.value };
  if (first.place === "subprotocol" && !offered.includes(SUBPROTOCOL)) {
    return { kind: "subprotocol_missing" };
  }
  return { kind: "token", token: first.value, place: first.place };
}

/** The subprotocol to answer with: a browser that offered some fails when none is selected. */
export function selectSubprotocol(headers: Headers): typeof SUBPROTOCOL | null {
  return offeredSubprotocols(headers).includes(SUBPROTOCOL) ? SUBPROTOCOL : null;
}

function offeredSubprotocols(headers: Headers): readonly string[] {
  return (headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
}

/** Repeated headers arrive joined by commas, which no token holds; other schemes are not ours to read. */
function bearerTokens(authorization: string): readonly string[] {
  return authorization.split(",").flatMap((part) => {
    const [, token] = /^bearer +(.*)$/i.exec(part.trim()) ?? [];
    return token === undefined ? [] : [token];
  });
}
