// The only reader of the environment: every setting with its default and bounds, all problems reported at once.
import { isIP } from "node:net";
import * as z from "zod";
import { type LimitName, LIMITS, type LimitValues } from "./limits/limits.ts";
import { LOG_LEVELS } from "./observe/log.ts";

/** Thrown when settings can't be used; `problems` holds one sentence each, none with a secret in it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Settings can't be used:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.problems = problems;
  }
}

/** Settings whose value may stand in a file named by `<NAME>_FILE`, as orchestrators mount secrets. */
const SECRETS = [
  "DATABASE_URL",
  "DATABASE_LISTEN_URL",
  "DATABASE_CA",
  "INFLUXDB_TOKEN",
  "INFLUXDB_PASSWORD",
  "INFLUXDB_CA",
  "JWT_SECRET",
  "TLS_CERT",
  "TLS_KEY",
] as const;

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$]{0,62}$/;
const DOTTED = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?$/;

const flag = (fallback: boolean) =>
  z.enum(["true", "false"], "must be true or false").transform((text) => text === "true").default(
    fallback,
  );
const list = (fallback: string) =>
  z.string().default(fallback).transform((text) =>
    text.split(",").map((word) => word.trim()).filter((word) => word !== "")
  );
const url = (...protocols: readonly string[]) =>
  z.string().refine(
    (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol.slice(0, -1)),
    `must be an address that begins with ${protocols.map((name) => `${name}://`).join(" or ")}`,
  );

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly unit: string;
  readonly integer?: boolean;
}

function number({ fallback, ...bounds }: Bounds & { readonly fallback: number }) {
  return bounded(bounds).default(fallback);
}

function bounded({ min, max, unit, integer = false }: Bounds) {
  const sentence = `must be ${
    integer ? "a whole number" : "a number"
  } of ${unit} from ${min} to ${max}`;
  return z.string().regex(/^\d+(\.\d+)?$/, sentence).transform(Number).refine(
    (value) => value >= min && value <= max && (!integer || Number.isInteger(value)),
    sentence,
  );
}

/** An address, or a network in CIDR form. */
function isNetwork(text: string): boolean {
  const [address = "", bits, ...rest] = text.split("/");
  // A zone (`fe80::1%eth0`) names an interface, which no header and no network does.
  if (address.includes("%")) return false;
  const width = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return rest.length === 0 && width > 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width));
}

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const duration = (fallback: string, { maxMs }: { maxMs: number }) =>
  z.string().default(fallback).transform((text, context) => {
    const [, amount, unit] = /^(\d+(?:\.\d+)?)(s|m|h|d)$/.exec(text) ?? [];
    const ms = Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
    if (ms > 0 && ms <= maxMs) return ms;
    context.addIssue({
      code: "custom",
      message: `must be a duration such as 90s, 30m, 6h or 2d, up to ${maxMs / UNIT_MS.d}d`,
    });
    return z.NEVER;
  });

const table = (fallback: string) =>
  z.string().regex(DOTTED, "must be a table's name, with or without its schema").default(fallback);

const pem = z.string().refine((text) => text.includes("-----BEGIN "), "must be PEM").optional();

type LimitSettings = {
  [Name in LimitName as (typeof LIMITS)[Name]["setting"]]: ReturnType<typeof number>;
};

const limitSettings = Object.fromEntries(
  Object.values(LIMITS).map((limit) => [limit.setting, number({ ...limit, integer: true })]),
) as LimitSettings;

const Settings = z.object({
  DATABASE_URL: url("postgres", "postgresql"),
  DATABASE_LISTEN_URL: url("postgres", "postgresql").optional(),
  DATABASE_ROLE: z.string().regex(IDENTIFIER, "must be a role's name or empty").or(z.literal(""))
    .default("pulse_app"),
  DATABASE_PREPARE: flag(true),
  DATABASE_CA: pem,
  TENANT_SETTING: z.string().regex(/^[a-z_]\w*(\.[a-z_]\w*)+$/i, "must be a dotted name")
    .default("app.tenant_id"),
  ALERT_TABLE: table("fleet_alert"),
  ALERT_NOTIFY_CHANNEL: z.string().regex(IDENTIFIER, "must be a channel's name or empty")
    .default(""),
  TELEMETRY_TABLE: table("telemetry"),
  TELEMETRY_SOURCE: z.enum(["influxdb", "postgres"], "must be influxdb or postgres")
    .default("influxdb"),
  TELEMETRY_LOOKBACK: duration("6h", { maxMs: 366 * UNIT_MS.d }),
  TELEMETRY_METADATA_KEYS: list("time,device_id,site_id,seq"),
  FUTURE_SECONDS: number({ fallback: 60, min: 0, max: 86_400, unit: "seconds" }),
  LATE_SECONDS: number({ fallback: 10, min: 0, max: 3_600, unit: "seconds" }),
  STALE_SECONDS: number({ fallback: 300, min: 1, max: 86_400, unit: "seconds" }),
  INFLUXDB_URL: url("http", "https").optional(),
  INFLUXDB_TOKEN: z.string().optional(),
  INFLUXDB_USERNAME: z.string().optional(),
  INFLUXDB_PASSWORD: z.string().optional(),
  INFLUXDB_ORG: z.string().default(""),
  INFLUXDB_BUCKET: z.string().default("telemetry_{tenant}")
    .refine((name) => name.includes("{tenant}"), "must contain {tenant}: one bucket a tenant")
    .refine(
      (name) => !name.startsWith("_"),
      "must not begin with _: such buckets are InfluxDB's own",
    )
    .refine((name) => !/\p{Cc}/u.test(name), "must not contain control characters"),
  INFLUXDB_MEASUREMENT: z.string().min(1).default("telemetry"),
  INFLUXDB_DEVICE_TAG: z.string().min(1).default("device_id"),
  INFLUXDB_CA: pem,
  INFLUXDB_QUERY: z.enum(["influxql", "flux"], "must be influxql or flux").default("influxql"),
  JWT_SECRET: z.string().refine(
    (secret) => new TextEncoder().encode(secret).length >= 32,
    "must be 32 bytes or more",
  ).optional(),
  JWKS_URL: url("http", "https").optional(),
  OIDC_ISSUER: url("http", "https").optional(),
  OIDC_CLIENT_ID: z.string().optional(),
  OIDC_SCOPE: z.string().min(1).default("openid"),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  JWT_TENANT_CLAIM: z.string().min(1).default("tenant_id"),
  JWT_ROLE_CLAIM: z.string().min(1).default("role"),
  JWT_CLOCK_TOLERANCE_SECONDS: number({ fallback: 5, min: 0, max: 300, unit: "seconds" }),
  ALLOWED_ROLES: list("customer_admin,customer_viewer")
    .refine((roles) => roles.length > 0, "must name at least one role"),
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: number({ fallback: 8000, min: 0, max: 65_535, unit: "a port", integer: true }),
  WS_ENGINE: z.enum(["ws", "deno"], "must be ws or deno").default("ws"),
  WS_POLL_SECONDS: number({ fallback: 5, min: 0.05, max: 3_600, unit: "seconds" }),
  READ_TIMEOUT_SECONDS: number({ fallback: 10, min: 0.1, max: 600, unit: "seconds" }),
  SLOW_CLIENT_SECONDS: number({ fallback: 30, min: 1, max: 3_600, unit: "seconds" }),
  PING_SECONDS: number({ fallback: 20, min: 1, max: 600, unit: "seconds" }),
  DRAIN_SECONDS: number({ fallback: 10, min: 0, max: 3_600, unit: "seconds" }),
  ALLOW_QUERY_TOKEN: flag(true),
  ALLOWED_ORIGINS: list("").refine(
    (origins) => origins.every((text) => URL.canParse(text) && new URL(text).origin === text),
    "must be origins such as https://app.example.com",
  ),
  TRUSTED_PROXIES: list("").refine(
    (entries) => entries.every(isNetwork),
    "must be addresses or networks such as 10.0.0.0/8",
  ),
  TLS_CERT: pem,
  TLS_KEY: pem,
  ...limitSettings,
  METRICS_PORT: bounded({ min: 0, max: 65_535, unit: "a port", integer: true }).optional(),
  METRICS_HOST: z.string().min(1).optional(),
  METRICS_TENANT_LABEL: flag(false),
  WORKERS: number({ fallback: 1, min: 1, max: 64, unit: "threads", integer: true }),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`).default("info"),
});

/** What no single setting can say about itself. */
function problemsBetween(
  values: Readonly<Record<string, string>>,
  unreadable: ReadonlySet<string>,
): readonly string[] {
  const has = (name: keyof typeof Settings.shape) =>
    values[name] !== undefined || unreadable.has(name);
  const problems: string[] = [];
  const keys = (["JWT_SECRET", "JWKS_URL", "OIDC_ISSUER"] as const).filter(has);
  if (keys.length === 0) problems.push("JWT_SECRET, JWKS_URL or OIDC_ISSUER is missing");
  if (keys.length > 1) problems.push(`${keys.join(" and ")} exclude each other`);
  if (has("OIDC_CLIENT_ID") && !has("OIDC_ISSUER")) {
    problems.push("OIDC_ISSUER is missing, OIDC_CLIENT_ID needs it");
  }
  if (has("TLS_CERT") !== has("TLS_KEY")) {
    problems.push("TLS_CERT_FILE and TLS_KEY_FILE must be set together");
  }
  if (values.METRICS_TENANT_LABEL === "true" && !has("METRICS_PORT")) {
    problems.push("METRICS_PORT is missing, METRICS_TENANT_LABEL needs it");
  }
  if (has("METRICS_HOST") && !has("METRICS_PORT")) {
    problems.push("METRICS_PORT is missing, METRICS_HOST needs it");
  }
  if (values.WS_ENGINE === "deno" && Number(values.WORKERS ?? 1) > 1) {
    problems.push("WS_ENGINE must be ws where WORKERS is more than 1: deno shares no port");
  }
  if (values.TELEMETRY_SOURCE === "postgres") return problems;
  if (!has("INFLUXDB_URL")) problems.push("INFLUXDB_URL is missing");
  if (values.INFLUXDB_QUERY === "flux" && !has("INFLUXDB_ORG")) {
    problems.push("INFLUXDB_ORG is missing, Flux needs it");
  }
  if (has("INFLUXDB_TOKEN") && has("INFLUXDB_USERNAME")) {
    problems.push("INFLUXDB_TOKEN and INFLUXDB_USERNAME exclude each other");
  }
  if (has("INFLUXDB_USERNAME") !== has("INFLUXDB_PASSWORD")) {
    problems.push("INFLUXDB_USERNAME and INFLUXDB_PASSWORD must be set together");
  }
  return problems;
}

/** Every setting under its own name, checked and with its default. */
export type Config = Readonly<z.infer<typeof Settings>>;

/** The limits under their own names. */
export function limitsOf(config: Config): LimitValues {
  const values = Object.entries(LIMITS).map(([name, { setting }]) => [name, config[setting]]);
  return Object.fromEntries(values) as LimitValues;
}

/** What the terminal client shows; the service itself never reads it. */
const CLIENT_TOKEN = "PULSEWIRE_TOKEN";

/** The name of every setting that is read, files of secrets included. */
export const SETTING_NAMES: readonly string[] = [
  ...Object.keys(Settings.shape),
  ...SECRETS.map((name) => `${name}_FILE`),
  CLIENT_TOKEN,
];

export interface Environment {
  get(name: string): string | undefined;
  readFile(path: string): string;
}

const processEnvironment: Environment = {
  get: (name) => Deno.env.get(name),
  readFile: (path) => Deno.readTextFileSync(path),
};

/** Settings whose empty value says something; elsewhere it counts as not set. */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(["DATABASE_ROLE", "TELEMETRY_METADATA_KEYS"]);

/** Reads all settings. Throws ConfigError. */
export function readConfig(environment: Environment = processEnvironment): Config {
  const problems: string[] = [];
  const unreadable = new Set<string>();
  const values: Record<string, string> = {};
  for (const name of Object.keys(Settings.shape)) {
    const value = environment.get(name);
    if (value !== undefined && (value !== "" || MAY_BE_EMPTY.has(name))) values[name] = value;
  }
  for (const name of SECRETS) {
    const path = environment.get(`${name}_FILE`);
    if (path === undefined || path === "") continue;
    if (values[name] !== undefined) {
      problems.push(`${name} and ${name}_FILE exclude each other`);
      continue;
    }
    try {
      values[name] = environment.readFile(path).replace(/\r?\n$/, "");
    } catch (error) {
      unreadable.add(name);
      // Without the path: who sets the secret itself where its file belongs must not find it in a log.
      const reason = (error as Error).message.replaceAll(path, "…");
      problems.push(`${name}_FILE can't be read: ${reason}`);
    }
  }
  const parsed = Settings.safeParse(values);
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0]);
    const missing = issue.code === "invalid_type" && values[name] === undefined;
    if (missing && unreadable.has(name)) continue;
    problems.push(`${name} ${missing ? "is missing" : issue.message}`);
  }
  problems.push(...problemsBetween(values, unreadable));
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  return Object.freeze(parsed.data);
}

/** What the terminal client shows, and where the service listens; null where that is not said. */
export function readClientSettings({ get }: Environment = processEnvironment) {
  const host = Settings.shape.HOST.parse(get("HOST") || undefined);
  const port = Settings.shape.PORT.safeParse(get("PORT") || undefined).data || null;
  return { token: get(CLIENT_TOKEN)?.trim() || null, host, port };
}
