// The only reader of the environment: every setting with its default and bounds, all problems reported at once.
import * as z from "zod";
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
const SECRETS = ["DATABASE_URL", "INFLUXDB_TOKEN", "INFLUXDB_PASSWORD", "JWT_SECRET"] as const;

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

function number(
  { fallback, min, max, unit, integer = false }: {
    fallback: number;
    min: number;
    max: number;
    unit: string;
    integer?: boolean;
  },
) {
  const sentence = `must be ${
    integer ? "a whole number" : "a number"
  } of ${unit} from ${min} to ${max}`;
  return z.string().regex(/^\d+(\.\d+)?$/, sentence).transform(Number).refine(
    (value) => value >= min && value <= max && (!integer || Number.isInteger(value)),
    sentence,
  ).default(fallback);
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

const Settings = z.object({
  DATABASE_URL: url("postgres", "postgresql"),
  DATABASE_ROLE: z.string().regex(IDENTIFIER, "must be a role's name or empty").or(z.literal(""))
    .default("pulse_app"),
  DATABASE_PREPARE: flag(true),
  TENANT_SETTING: z.string().regex(/^[a-z_]\w*(\.[a-z_]\w*)+$/i, "must be a dotted name")
    .default("app.tenant_id"),
  ALERT_TABLE: table("fleet_alert"),
  TELEMETRY_TABLE: table("telemetry"),
  TELEMETRY_SOURCE: z.enum(["influxdb", "postgres"], "must be influxdb or postgres")
    .default("influxdb"),
  TELEMETRY_LOOKBACK: duration("6h", { maxMs: 366 * UNIT_MS.d }),
  TELEMETRY_METADATA_KEYS: list("time,device_id,site_id,seq"),
  FUTURE_SECONDS: number({ fallback: 60, min: 0, max: 86_400, unit: "seconds" }),
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
  INFLUXDB_QUERY: z.enum(["influxql", "flux"], "must be influxql or flux").default("influxql"),
  JWT_SECRET: z.string().refine(
    (secret) => new TextEncoder().encode(secret).length >= 32,
    "must be 32 bytes or more",
  ).optional(),
  JWKS_URL: url("http", "https").optional(),
  OIDC_ISSUER: url("http", "https").optional(),
  JWT_ISSUER: z.string().optional(),
  JWT_AUDIENCE: z.string().optional(),
  JWT_TENANT_CLAIM: z.string().min(1).default("tenant_id"),
  JWT_ROLE_CLAIM: z.string().min(1).default("role"),
  JWT_CLOCK_TOLERANCE_SECONDS: number({ fallback: 5, min: 0, max: 300, unit: "seconds" }),
  ALLOWED_ROLES: list("customer_admin,customer_viewer")
    .refine((roles) => roles.length > 0, "must name at least one role"),
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: number({ fallback: 8000, min: 0, max: 65_535, unit: "a port", integer: true }),
  WS_ENGINE: z.enum(["deno"], "must be deno").default("deno"),
  WS_POLL_SECONDS: number({ fallback: 5, min: 0.05, max: 3_600, unit: "seconds" }),
  MAX_REFUSED_SOCKETS: number({
    fallback: 64,
    min: 0,
    max: 100_000,
    unit: "sockets",
    integer: true,
  }),
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

/** The name of every setting that is read, files of secrets included. */
export const SETTING_NAMES: readonly string[] = [
  ...Object.keys(Settings.shape),
  ...SECRETS.map((name) => `${name}_FILE`),
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
