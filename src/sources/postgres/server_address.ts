// Reads a PostgreSQL URL into what a connection needs; its errors must never show the password.

/**
 * - `disable`: plain text
 * - `prefer`: TLS when the server has it, unverified: no defence against an active attacker
 * - `require`: TLS, unverified unless a CA is given
 * - `verify-full`: TLS, chain and host name verified
 */
export type TlsMode = "disable" | "prefer" | "require" | "verify-full";

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly tlsMode: TlsMode;
  readonly applicationName: string;
}

const TLS_MODES: Readonly<Record<string, TlsMode>> = {
  disable: "disable",
  allow: "prefer",
  prefer: "prefer",
  require: "require",
  "verify-ca": "verify-full",
  "verify-full": "verify-full",
};

const PARAMETERS = new Set(["sslmode", "application_name"]);

/** Throws TypeError, naming what is wrong and never the URL itself. */
export function parseServerAddress(url: string): ServerAddress {
  const parsed = URL.canParse(url) ? new URL(url) : refuse("it is not a URL with a single host");
  if (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:") {
    refuse(`its scheme must be postgres or postgresql, current value is "${parsed.protocol}"`);
  }
  if (parsed.hostname === "") refuse("it names no host");
  if (parsed.hostname.includes(",") || parsed.hostname.includes("%2C")) {
    refuse("it names several hosts; one address in front of them is expected");
  }
  const user = decode(parsed.username);
  // The driver would go on to ask the operating system who we are.
  if (user === "") refuse("it names no user");
  for (const name of parsed.searchParams.keys()) {
    if (!PARAMETERS.has(name)) refuse(`its parameter "${name}" is not known`);
  }
  const sslmode = parsed.searchParams.get("sslmode") ?? "disable";
  return {
    host: decode(parsed.hostname).replace(/^\[(.*)\]$/, "$1"),
    port: parsed.port === "" ? 5432 : Number(parsed.port),
    user,
    password: decode(parsed.password),
    database: decode(parsed.pathname.slice(1)) || user,
    tlsMode: TLS_MODES[sslmode] ?? refuse(`its sslmode "${sslmode}" is not known`),
    applicationName: parsed.searchParams.get("application_name") ?? "pulsewire",
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return refuse("a part of it is not percent-encoded correctly");
  }
}

function refuse(reason: string): never {
  throw new TypeError(`Cannot read the PostgreSQL URL: ${reason}`);
}
