// Finds the one credential of a request; it judges where it stands and never what it says.
import { parse } from "node:querystring";

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
  /** The target's query, with its question mark where it has one. */
  readonly search: string;
  readonly headers: Pick<Headers, "get">;
}

type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The subprotocol that is selected whenever a client offers it. */
export const SUBPROTOCOL = "pulsewire";

const BEARER_PROTOCOL = "bearer.";
/** The query of most clients, which says nothing else and nothing that would have to be unescaped. */
const LONE_TOKEN = /^\?token=([\w.-]+)$/;

/** Places that are not accepted are not looked at; an empty credential is none. */
export function findCredential(
  request: CredentialRequest,
  options: { readonly accept: ReadonlySet<CredentialPlace> },
): Credential {
  const { accept } = options;
  const query = queryOf(request.search);
  const offered = offeredSubprotocols(request.headers);
  const found: Array<{ readonly place: CredentialPlace; readonly value: string }> = [];
  const look = (place: CredentialPlace, values: () => readonly string[]) => {
    if (!accept.has(place)) return;
    for (const value of values()) if (value !== "") found.push({ place, value });
  };
  look("query", () => valuesOf(query, "token"));
  look("header", () => bearerTokens(request.headers.get("authorization")));
  look("subprotocol", () => offered.flatMap(bearerProtocolToken));
  look("ticket", () => valuesOf(query, "ticket"));
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
export function selectSubprotocol(headers: Pick<Headers, "get">): typeof SUBPROTOCOL | null {
  return offeredSubprotocols(headers).includes(SUBPROTOCOL) ? SUBPROTOCOL : null;
}

/** Every value of each name. It is asked for at each handshake, which a URLSearchParams makes a tenth slower. */
function queryOf(search: string): Query {
  const [, token] = LONE_TOKEN.exec(search) ?? [];
  if (token !== undefined) return { token };
  return parse(search.slice(1), "&", "=", { maxKeys: 0 });
}

function valuesOf(query: Query, name: string): readonly string[] {
  const values = query[name] ?? [];
  return typeof values === "string" ? [values] : values;
}

function offeredSubprotocols(headers: Pick<Headers, "get">): readonly string[] {
  const offer = headers.get("sec-websocket-protocol");
  return offer === null ? [] : offer.split(",").map((name) => name.trim());
}

function bearerProtocolToken(name: string): readonly string[] {
  return name.startsWith(BEARER_PROTOCOL) ? [name.slice(BEARER_PROTOCOL.length)] : [];
}

/** Repeated headers arrive joined by commas, which no token holds; other schemes are not ours to read. */
function bearerTokens(authorization: string | null): readonly string[] {
  if (authorization === null) return [];
  return authorization.split(",").flatMap((part) => {
    const [, token] = /^bearer +(.*)$/i.exec(part.trim()) ?? [];
    return token === undefined ? [] : [token];
  });
}
