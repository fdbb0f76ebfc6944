// Settings: defaults, bounds, secrets from files, and that every problem is told at once without a secret in it.
import assert from "node:assert/strict";
import { type Config, ConfigError, readConfig, SETTING_NAMES } from "../src/config.ts";

type Values = Readonly<Record<string, string>>;

const SECRET = "s3cret-".repeat(6);
const REQUIRED: Values = {
  DATABASE_URL: "postgres://pulsewire:hunter2@db/iot",
  INFLUXDB_URL: "http://influx:8086",
  JWT_SECRET: SECRET,
};

function read(values: Values, files: Values = {}): Config {
  return readConfig({
    get: (name) => values[name],
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw new Deno.errors.NotFound(`No such file: readfile '${path}'`);
      return text;
    },
  });
}

function problemsOf(values: Values, files: Values = {}): readonly string[] {
  try {
    read(values, files);
  } catch (error) {
    assert(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

/** The problems that appear when a setting is added to a sound configuration. */
function problemsWith(values: Values, files: Values = {}): readonly string[] {
  return problemsOf({ ...REQUIRED, ...values }, files);
}

function without(name: string): Values {
  return Object.fromEntries(Object.entries(REQUIRED).filter(([key]) => key !== name));
}

Deno.test("Every setting but the addresses and the key has a default", () => {
  assert.deepEqual(read(REQUIRED), {
    DATABASE_URL: "postgres://pulsewire:hunter2@db/iot",
    DATABASE_ROLE: "pulse_app",
    DATABASE_PREPARE: true,
    TENANT_SETTING: "app.tenant_id",
    ALERT_TABLE: "fleet_alert",
    ALERT_NOTIFY_CHANNEL: "",
    TELEMETRY_TABLE: "telemetry",
    TELEMETRY_SOURCE: "influxdb",
    TELEMETRY_LOOKBACK: 6 * 3_600_000,
    TELEMETRY_METADATA_KEYS: ["time", "device_id", "site_id", "seq"],
    FUTURE_SECONDS: 60,
    LATE_SECONDS: 10,
    STALE_SECONDS: 300,
    INFLUXDB_URL: "http://influx:8086",
    INFLUXDB_ORG: "",
    INFLUXDB_BUCKET: "telemetry_{tenant}",
    INFLUXDB_MEASUREMENT: "telemetry",
    INFLUXDB_DEVICE_TAG: "device_id",
    INFLUXDB_QUERY: "influxql",
    JWT_SECRET: SECRET,
    OIDC_SCOPE: "openid",
    JWT_TENANT_CLAIM: "tenant_id",
    JWT_ROLE_CLAIM: "role",
    JWT_CLOCK_TOLERANCE_SECONDS: 5,
    ALLOWED_ROLES: ["customer_admin", "customer_viewer"],
    HOST: "127.0.0.1",
    PORT: 8000,
    WS_ENGINE: "ws",
    WORKERS: 1,
    WS_POLL_SECONDS: 5,
    READ_TIMEOUT_SECONDS: 10,
    SLOW_CLIENT_SECONDS: 30,
    PING_SECONDS: 20,
    HANDSHAKE_TIMEOUT_SECONDS: 10,
    DRAIN_SECONDS: 10,
    ALLOW_QUERY_TOKEN: true,
    ALLOWED_ORIGINS: [],
    TRUSTED_PROXIES: [],
    MAX_MESSAGE_BYTES: 65_536,
    MAX_MESSAGES_PER_SECOND: 50,
    MAX_SUBSCRIPTIONS: 500,
    MAX_CONNECTIONS: 20_000,
    MAX_CONNECTIONS_PER_TENANT: 10_000,
    MAX_CONNECTIONS_PER_USER: 200,
    MAX_CONNECTIONS_PER_ADDRESS: 2_000,
    MAX_DEVICE_ID_BYTES: 128,
    MAX_HANDSHAKES_PER_SECOND: 100,
    MAX_REFUSED_SOCKETS: 64,
    SOCKET_HIGH_WATER_BYTES: 262_144,
    MAX_READS: 8,
    MAX_REQUESTS_PER_SECOND: 50,
    MAX_HISTORY_SECONDS: 90_000,
    MAX_HISTORY_SAMPLES: 10_000,
    MAX_OPEN_ALERTS: 1_000,
    MAX_FLEET_DEVICES: 10_000,
    METRICS_TENANT_LABEL: false,
    LOG_LEVEL: "info",
  });
});

Deno.test("What is read can't be changed", () => {
  assert(Object.isFrozen(read(REQUIRED)));
});

Deno.test("Whatever has no default is reported missing, all of it at once", () => {
  assert.deepEqual(problemsOf({}), [
    "DATABASE_URL is missing",
    "JWT_SECRET, JWKS_URL or OIDC_ISSUER is missing",
    "INFLUXDB_URL is missing",
  ]);
  assert.deepEqual(problemsOf(without("DATABASE_URL")), ["DATABASE_URL is missing"]);
  assert.deepEqual(problemsOf(without("INFLUXDB_URL")), ["INFLUXDB_URL is missing"]);
});

Deno.test("InfluxDB's settings are not missed where telemetry comes from PostgreSQL", () => {
  assert.deepEqual(
    problemsOf({ ...without("INFLUXDB_URL"), TELEMETRY_SOURCE: "postgres" }),
    [],
  );
});

const WRONG: ReadonlyArray<readonly [name: string, problem: string, ...values: string[]]> = [
  [
    "DATABASE_URL",
    "must be an address that begins with postgres:// or postgresql://",
    "mysql://db",
    "db:5432",
    "http://db",
  ],
  [
    "DATABASE_LISTEN_URL",
    "must be an address that begins with postgres:// or postgresql://",
    "db:5432",
    "http://db",
  ],
  [
    "DATABASE_ROLE",
    "must be a role's name or empty",
    "pulse app",
    'a"b',
    "1role",
    "r;--",
    "r".repeat(64),
  ],
  ["DATABASE_PREPARE", "must be true or false", "1", "yes", "TRUE"],
  ["TENANT_SETTING", "must be a dotted name", "tenant", "app.", "app.tenant'id", ".a", "app.a b"],
  [
    "ALERT_TABLE",
    "must be a table's name, with or without its schema",
    "a.b.c",
    "fleet alert",
    "a;drop",
    '"a"',
  ],
  [
    "ALERT_NOTIFY_CHANNEL",
    "must be a channel's name or empty",
    "a-b",
    "fleet.alert",
    '"a"',
    "1a",
    "c".repeat(64),
  ],
  ["TELEMETRY_TABLE", "must be a table's name, with or without its schema", "a.b.c", "t--", "a."],
  ["TELEMETRY_SOURCE", "must be influxdb or postgres", "redis", "InfluxDB"],
  [
    "TELEMETRY_LOOKBACK",
    "must be a duration such as 90s, 30m, 6h or 2d, up to 366d",
    "6",
    "6 h",
    "-1h",
    "0s",
    "367d",
    "1w",
    "h",
  ],
  [
    "FUTURE_SECONDS",
    "must be a number of seconds from 0 to 86400",
    "-1",
    "86400.1",
    "1e3",
    "",
    "60s",
  ],
  ["LATE_SECONDS", "must be a number of seconds from 0 to 3600", "-1", "3600.1", "10s"],
  ["STALE_SECONDS", "must be a number of seconds from 1 to 86400", "0", "0.9", "86401"],
  [
    "MAX_OPEN_ALERTS",
    "must be a whole number of open alerts of a tenant that one read brings from 1 to 100000",
    "0",
    "1.5",
    "100001",
  ],
  [
    "INFLUXDB_URL",
    "must be an address that begins with http:// or https://",
    "influx:8086",
    "ftp://influx",
    "influx",
  ],
  ["INFLUXDB_QUERY", "must be influxql or flux", "sql", "FLUX"],
  ["JWT_SECRET", "must be 32 bytes or more", "short", "x".repeat(31)],
  ["JWT_CLOCK_TOLERANCE_SECONDS", "must be a number of seconds from 0 to 300", "301", "-5", "NaN"],
  ["ALLOWED_ROLES", "must name at least one role", ",", " , "],
  [
    "PORT",
    "must be a whole number of a port from 0 to 65535",
    "65536",
    "80.5",
    "http",
    "-1",
    "0x50",
  ],
  ["WS_ENGINE", "must be ws or deno", "node", "WS"],
  ["WORKERS", "must be a whole number of threads from 1 to 64", "0", "65", "1.5", "two"],
  [
    "WS_POLL_SECONDS",
    "must be a number of seconds from 0.05 to 3600",
    "0",
    "0.049",
    "3600.5",
    "5s",
    "Infinity",
  ],
  [
    "MAX_REFUSED_SOCKETS",
    "must be a whole number of refused sockets at once from 0 to 100000",
    "1.5",
    "100001",
    "-1",
  ],
  [
    "MAX_MESSAGE_BYTES",
    "must be a whole number of bytes from 256 to 16777216",
    "255",
    "1e9",
    "64k",
  ],
  ["SLOW_CLIENT_SECONDS", "must be a number of seconds from 1 to 3600", "0.9", "3601", "-"],
  ["PING_SECONDS", "must be a number of seconds from 1 to 600", "0", "601"],
  ["DRAIN_SECONDS", "must be a number of seconds from 0 to 3600", "-1", "3601"],
  ["READ_TIMEOUT_SECONDS", "must be a number of seconds from 0.1 to 600", "0", "601"],
  ["ALLOW_QUERY_TOKEN", "must be true or false", "no", "0"],
  [
    "ALLOWED_ORIGINS",
    "must be origins such as https://app.example.com",
    ...[
      "*",
      "app.example.com",
      "https://app.example.com/",
      "https://a.example,https://b.example/x",
    ],
    ...["null", "https://APP.example.com", "https://app.example.com:443"],
  ],
  [
    "TRUSTED_PROXIES",
    "must be addresses or networks such as 10.0.0.0/8",
    ...["proxy", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/8/8", "10.0.0.0/x", "*"],
    ...["fe80::1%eth0", "10.0.0.1:80", "10.0.0.0/"],
  ],
  ["LOG_LEVEL", "must be one of debug, info, warning, error", "trace", "INFO"],
];
for (const [name, problem, ...values] of WRONG) {
  Deno.test(`${name} ${problem}`, () => {
    for (const value of values.filter((value) => value !== "")) {
      assert.deepEqual(problemsWith({ [name]: value }), [`${name} ${problem}`], `${name}=${value}`);
    }
  });
}

const EDGES: ReadonlyArray<readonly [name: keyof Config, value: string, read: unknown]> = [
  ["TELEMETRY_LOOKBACK", "366d", 366 * 86_400_000],
  ["TELEMETRY_LOOKBACK", "1.5m", 90_000],
  ["TELEMETRY_LOOKBACK", "90s", 90_000],
  ["FUTURE_SECONDS", "0", 0],
  ["FUTURE_SECONDS", "86400", 86_400],
  ["LATE_SECONDS", "0", 0],
  ["LATE_SECONDS", "3600", 3_600],
  ["STALE_SECONDS", "1", 1],
  ["STALE_SECONDS", "86400", 86_400],
  ["MAX_OPEN_ALERTS", "100000", 100_000],
  ["MAX_FLEET_DEVICES", "1000000", 1_000_000],
  ["JWT_CLOCK_TOLERANCE_SECONDS", "0", 0],
  ["JWT_CLOCK_TOLERANCE_SECONDS", "300", 300],
  ["PORT", "0", 0],
  ["PORT", "65535", 65_535],
  ["WS_POLL_SECONDS", "0.05", 0.05],
  ["WS_POLL_SECONDS", "0.25", 0.25],
  ["WS_POLL_SECONDS", "3600", 3_600],
  ["ALLOWED_ORIGINS", "https://a.example, http://localhost:8000", [
    "https://a.example",
    "http://localhost:8000",
  ]],
  ["TRUSTED_PROXIES", "10.0.0.0/8,::1, 192.0.2.1, 0.0.0.0/0", [
    "10.0.0.0/8",
    "::1",
    "192.0.2.1",
    "0.0.0.0/0",
  ]],
  ["ALLOW_QUERY_TOKEN", "false", false],
  ["DRAIN_SECONDS", "0", 0],
  ["WS_ENGINE", "deno", "deno"],
  ["MAX_REFUSED_SOCKETS", "0", 0],
  ["MAX_REFUSED_SOCKETS", "100000", 100_000],
  ["JWT_SECRET", "ä".repeat(16), "ä".repeat(16)],
  ["DATABASE_ROLE", "", ""],
  ["DATABASE_ROLE", "r".repeat(63), "r".repeat(63)],
  ["DATABASE_PREPARE", "false", false],
  ["TELEMETRY_METADATA_KEYS", "", []],
  ["TELEMETRY_METADATA_KEYS", " time , seq,,", ["time", "seq"]],
  ["ALLOWED_ROLES", "viewer", ["viewer"]],
  ["ALERT_TABLE", "fleet.alert_2", "fleet.alert_2"],
  ["ALERT_NOTIFY_CHANNEL", "Fleet_alert$2", "Fleet_alert$2"],
  ["INFLUXDB_BUCKET", "iot-{tenant}/autogen", "iot-{tenant}/autogen"],
];
for (const [name, value, expected] of EDGES) {
  Deno.test(`${name} may be ${JSON.stringify(value)}`, () => {
    assert.deepEqual(read({ ...REQUIRED, [name]: value })[name], expected);
  });
}

Deno.test("An empty value counts as not set, wherever empty says nothing", () => {
  const mayBeEmpty = new Set(["DATABASE_ROLE", "TELEMETRY_METADATA_KEYS"]);
  const empty = SETTING_NAMES.filter((name) => !(name in REQUIRED) && !mayBeEmpty.has(name));
  assert.deepEqual(
    read({ ...REQUIRED, ...Object.fromEntries(empty.map((name) => [name, ""])) }),
    read(REQUIRED),
  );
  assert.deepEqual(problemsWith({ DATABASE_URL: "" }), ["DATABASE_URL is missing"]);
});

Deno.test("A bucket that is not one tenant's, or that is InfluxDB's own, is refused", () => {
  assert.deepEqual(problemsWith({ INFLUXDB_BUCKET: "telemetry" }), [
    "INFLUXDB_BUCKET must contain {tenant}: one bucket a tenant",
  ]);
  assert.deepEqual(problemsWith({ INFLUXDB_BUCKET: "_{tenant}" }), [
    "INFLUXDB_BUCKET must not begin with _: such buckets are InfluxDB's own",
  ]);
  assert.deepEqual(problemsWith({ INFLUXDB_BUCKET: "_monitoring" }).length, 2);
  assert.deepEqual(problemsWith({ INFLUXDB_BUCKET: "a\n{tenant}" }), [
    "INFLUXDB_BUCKET must not contain control characters",
  ]);
});

Deno.test("Settings that exclude or need each other say so", () => {
  assert.deepEqual(problemsWith({ JWKS_URL: "https://id/certs" }), [
    "JWT_SECRET and JWKS_URL exclude each other",
  ]);
  assert.deepEqual(
    problemsWith({ JWKS_URL: "https://id/certs", OIDC_ISSUER: "https://id" }),
    ["JWT_SECRET and JWKS_URL and OIDC_ISSUER exclude each other"],
  );
  assert.deepEqual(problemsWith({ OIDC_CLIENT_ID: "dashboard" }), [
    "OIDC_ISSUER is missing, OIDC_CLIENT_ID needs it",
  ]);
  assert.deepEqual(problemsWith({ WS_ENGINE: "deno", WORKERS: "2" }), [
    "WS_ENGINE must be ws where WORKERS is more than 1: deno shares no port",
  ]);
  assert.deepEqual(problemsWith({ WS_ENGINE: "deno", WORKERS: "1" }), []);
  assert.deepEqual(problemsWith({ INFLUXDB_QUERY: "flux" }), [
    "INFLUXDB_ORG is missing, Flux needs it",
  ]);
  assert.deepEqual(
    problemsWith({ INFLUXDB_TOKEN: "t", INFLUXDB_USERNAME: "u", INFLUXDB_PASSWORD: "p" }),
    ["INFLUXDB_TOKEN and INFLUXDB_USERNAME exclude each other"],
  );
  for (const name of ["INFLUXDB_USERNAME", "INFLUXDB_PASSWORD"]) {
    assert.deepEqual(problemsWith({ [name]: "x" }), [
      "INFLUXDB_USERNAME and INFLUXDB_PASSWORD must be set together",
    ]);
  }
});

const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";

Deno.test("A certificate and its key are set together, from files, and are PEM", () => {
  const files = { "/cert": `${PEM}\n`, "/key": PEM, "/bad": "no PEM" };
  const both = { TLS_CERT_FILE: "/cert", TLS_KEY_FILE: "/key" };
  assert.equal(read({ ...REQUIRED, ...both }, files).TLS_CERT, PEM);
  for (const name of ["TLS_CERT_FILE", "TLS_KEY_FILE"]) {
    assert.deepEqual(problemsWith({ [name]: "/cert" }, files), [
      "TLS_CERT_FILE and TLS_KEY_FILE must be set together",
    ]);
  }
  assert.deepEqual(problemsWith({ ...both, TLS_KEY_FILE: "/bad" }, files), ["TLS_KEY must be PEM"]);
  assert.deepEqual(problemsWith({ DATABASE_CA_FILE: "/bad" }, files), ["DATABASE_CA must be PEM"]);
  assert.equal(problemsWith({ ...both, TLS_KEY_FILE: "/none" }, files).length, 1);
});

Deno.test("Each way to keys is enough by itself", () => {
  const base = without("JWT_SECRET");
  for (const name of ["JWKS_URL", "OIDC_ISSUER"]) {
    assert.deepEqual(problemsOf({ ...base, [name]: "https://id.example/realms/iot" }), []);
    assert.deepEqual(problemsOf({ ...base, [name]: "file:///etc/keys" }), [
      `${name} must be an address that begins with http:// or https://`,
    ]);
  }
});

Deno.test("Every problem is reported at once, settings alone and between each other", () => {
  const problems = problemsOf({
    DATABASE_URL: "nowhere",
    PORT: "none",
    WS_POLL_SECONDS: "0",
    LOG_LEVEL: "loud",
    INFLUXDB_BUCKET: "all",
    JWT_SECRET: "short",
    JWKS_URL: "https://id/certs",
    INFLUXDB_PASSWORD: "p",
    INFLUXDB_TOKEN_FILE: "/none",
  });
  const named = [
    ...["DATABASE_URL must", "PORT must", "WS_POLL_SECONDS must", "LOG_LEVEL must"],
    ...["INFLUXDB_BUCKET must", "JWT_SECRET must", "JWT_SECRET and JWKS_URL exclude"],
    ...["INFLUXDB_URL is missing", "INFLUXDB_USERNAME and INFLUXDB_PASSWORD must"],
    "INFLUXDB_TOKEN_FILE can't be read",
  ];
  for (const name of named) {
    assert.equal(problems.filter((problem) => problem.startsWith(name)).length, 1, name);
  }
  assert.equal(problems.length, named.length, problems.join("\n"));
});

Deno.test("The error's message lists all problems, one a line", () => {
  const error = new ConfigError(["PORT is missing", "HOST is missing"]);
  assert.equal(error.message, "Settings can't be used:\n  PORT is missing\n  HOST is missing");
});

const FROM_FILES = [
  "DATABASE_URL",
  "DATABASE_LISTEN_URL",
  "INFLUXDB_TOKEN",
  "INFLUXDB_PASSWORD",
  "JWT_SECRET",
] as const;
const FILE_VALUES: Values = {
  DATABASE_URL: "postgres://u:from-file@db/iot",
  DATABASE_LISTEN_URL: "postgres://u:from-file@behind-the-pooler/iot",
  INFLUXDB_TOKEN: "token-from-file",
  INFLUXDB_PASSWORD: "password-from-file",
  JWT_SECRET: "secret-from-file-secret-from-file-",
};
for (const name of FROM_FILES) {
  const { [name]: _, ...others } = REQUIRED;
  const base = name === "INFLUXDB_PASSWORD" ? { ...others, INFLUXDB_USERNAME: "u" } : others;
  const value = FILE_VALUES[name] as string;

  Deno.test(`${name} may come from a file, whose closing line break is not part of it`, () => {
    for (const end of ["", "\n", "\r\n"]) {
      const config = read({ ...base, [`${name}_FILE`]: "/run/it" }, { "/run/it": value + end });
      assert.equal(config[name], value);
    }
  });

  Deno.test(`${name} from the environment and from a file exclude each other`, () => {
    assert.deepEqual(
      problemsOf({ ...base, [name]: value, [`${name}_FILE`]: "/run/it" }, { "/run/it": value }),
      [`${name} and ${name}_FILE exclude each other`],
    );
  });

  Deno.test(`${name}_FILE that can't be read is the one problem that is told`, () => {
    const problems = problemsOf({ ...base, [`${name}_FILE`]: "/run/none" });
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0] ?? "", new RegExp(`^${name}_FILE can't be read: `));
  });
}

Deno.test("Only one line break is taken off a file's end, a secret may end with another", () => {
  const files = { "/run/it": `${SECRET}\n\n` };
  const config = read({ ...without("JWT_SECRET"), JWT_SECRET_FILE: "/run/it" }, files);
  assert.equal(config.JWT_SECRET, `${SECRET}\n`);
});

Deno.test("A value from a file is held to the same bounds", () => {
  assert.deepEqual(
    problemsOf({ ...without("JWT_SECRET"), JWT_SECRET_FILE: "/f" }, { "/f": "short\n" }),
    ["JWT_SECRET must be 32 bytes or more"],
  );
});

Deno.test("No secret stands in any problem, not even one that was set in a wrong place", () => {
  const leaks = [
    problemsWith({ DATABASE_URL: "mysql://u:hunter2@db", JWT_SECRET: "hunter2", PORT: "hunter2" }),
    problemsWith({ INFLUXDB_TOKEN: "hunter2", INFLUXDB_USERNAME: "hunter2" }),
    problemsWith({ INFLUXDB_URL: "hunter2", LOG_LEVEL: "hunter2", INFLUXDB_BUCKET: "hunter2" }),
    problemsOf({ ...without("JWT_SECRET"), JWT_SECRET_FILE: "hunter2" }),
    problemsOf({ ...without("JWT_SECRET"), JWT_SECRET_FILE: "/f" }, { "/f": "hunter2" }),
  ];
  for (const problems of leaks) {
    assert(problems.length > 0);
    assert(!problems.join().includes("hunter2"), problems.join("\n"));
  }
});

Deno.test("A real file that is missing, or is a folder, is told with the reason", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const path of [folder, `${folder}/none`]) {
      const values: Values = { ...without("JWT_SECRET"), JWT_SECRET_FILE: path };
      const environment = {
        get: (name: string) => values[name],
        readFile: Deno.readTextFileSync,
      };
      assert.throws(() => readConfig(environment), /JWT_SECRET_FILE can't be read: .*os error/);
    }
  } finally {
    await Deno.remove(folder);
  }
});
