// Takes the settings' secrets out of a text, should a driver or a runtime have put one in. It is the second line: nothing
// may rely on it.
import type { Config } from "../config.ts";

const ADDRESSES = [
  "DATABASE_URL",
  "DATABASE_LISTEN_URL",
  "INFLUXDB_URL",
  "JWKS_URL",
  "OIDC_ISSUER",
] as const;
const SECRETS = ["INFLUXDB_TOKEN", "INFLUXDB_PASSWORD", "JWT_SECRET", "TLS_KEY"] as const;
/** Shorter ones would blank out words that are none. */
const MIN_LENGTH = 4;

export function redaction(config: Config): (text: string) => string {
  const secrets = [
    ...SECRETS.map((name) => config[name] ?? ""),
    ...ADDRESSES.flatMap((name) => {
      const address = config[name];
      if (address === undefined || !URL.canParse(address)) return [];
      const { password, search } = new URL(address);
      return [password, decoded(password), search.slice(1)];
    }),
  ].filter((secret) => secret.length >= MIN_LENGTH).sort((a, b) => b.length - a.length);
  return (text) => secrets.reduce((left, secret) => left.replaceAll(secret, "…"), text);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone % stands for itself.
    return text;
  }
}
