// The command `check` against real databases: what is right is said to be, and each thing that is wrong is found, named
// and given its cure, without a secret.
import assert from "node:assert/strict";
import { redaction } from "../../src/cli/redaction.ts";
import { readConfig } from "../../src/config.ts";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { findProgram } from "../packaging/example_file.ts";
import { PgBouncer } from "../packaging/pgbouncer_process.ts";
import { Databases, instant, leftOut, type Settings } from "../service/databases.ts";
import { generateSigner, TEST_SECRET } from "../support/tokens.ts";
import { CliProcess } from "./cli_process.ts";

interface Checked {
  readonly code: number;
  readonly said: string;
  /** The outcome and the rest of the line, by the verdict's name. */
  readonly verdicts: ReadonlyMap<string, readonly [outcome: string, text: string]>;
}

async function check(settings: Settings, words = "--tenant acme"): Promise<Checked> {
  const args = words === "" ? [] : words.split(" ");
  await using cli = await CliProcess.run(["check", ...args], { settings });
  const { code } = await cli.status;
  const verdicts = new Map(
    cli.stdout.split("\n").slice(0, -2).map((line) => [
      line.slice(8, 28).trim(),
      [line.slice(0, 8).trim(), line.slice(29)] as const,
    ]),
  );
  assert.equal(cli.stderr, "");
  assert.ok(!cli.said.includes(TEST_SECRET), "it shows the secret");
  assert.doesNotMatch(cli.said, /only-for-tests|hunter2/);
  return { code, said: cli.said, verdicts };
}

function assertFault({ code, said, verdicts }: Checked, name: string, text: RegExp): void {
  assert.equal(code, 1, said);
  assert.equal(verdicts.get(name)?.[0], "failed", said);
  assert.match(verdicts.get(name)?.[1] ?? "", text);
}

const pgbouncer = findProgram("pgbouncer");
const NO_POOLER = "pgbouncer is not installed";

const NAMES = [
  "keys",
  "postgres",
  "alerts isolation",
  "alerts tenants",
  "alerts open",
  "alerts state",
  "notifications",
  "telemetry",
  "telemetry devices",
  "telemetry latest",
  "telemetry range",
];

type Step = (databases: Databases, settings: Settings) => Promise<void>;

const STEPS: Readonly<Record<string, Step>> = {
  "Everything is right: each verdict is ok, and it ends with 0": async (_, settings) => {
    const channel = { ...settings, ALERT_NOTIFY_CHANNEL: "pulsewire_alerts" };
    const { code, said, verdicts } = await check(channel, "--tenant acme --other-tenant globex");
    assert.equal(code, 0, said);
    assert.deepEqual([...verdicts.keys()], NAMES);
    assert.deepEqual([...verdicts.values()].filter(([outcome]) => outcome !== "ok"), []);
    const textOf = (name: string) => verdicts.get(name)?.[1];
    assert.equal(
      textOf("alerts tenants"),
      "acme sees 2 rows, globex sees 1 rows, and none of another tenant",
    );
    assert.equal(textOf("alerts open"), "2 are open");
    assert.equal(textOf("telemetry latest"), "2 samples");
    assert.equal(textOf("telemetry range"), "1 samples of one device in 15 minutes");
    assert.match(said, /^11 ok, 0 failed, 0 skipped$/m);
  },
  "Without a tenant, reads are skipped with the cure": async (_, settings) => {
    const { code, said, verdicts } = await check(settings, "");
    assert.equal(code, 0, said);
    const skipped = [...verdicts].filter(([, [outcome]]) => outcome === "skipped").map(([name]) =>
      name
    );
    assert.deepEqual(
      skipped,
      NAMES.filter((name) => !["keys", "postgres", "alerts isolation", "telemetry"].includes(name)),
    );
    assert.match(verdicts.get("telemetry latest")?.[1] ?? "", /cure: name one with --tenant$/);
  },
  "A second tenant without rows proves nothing, and is said to": async (_, settings) => {
    const { code, said, verdicts } = await check(settings, "--tenant acme --other-tenant nobody");
    assert.equal(code, 0, said);
    assert.equal(verdicts.get("alerts tenants")?.[0], "skipped");
    assert.match(verdicts.get("alerts tenants")?.[1] ?? "", /^nobody has no rows in fleet_alert/);
  },
  "A wrong password": async ({ postgres }, settings) => {
    const url = postgres.appUrl.replace("only-for-tests", "hunter2");
    const checked = await check({ ...settings, DATABASE_URL: url });
    assertFault(
      checked,
      "postgres",
      /refused the login.*cure: DATABASE_URL must hold the right login/,
    );
    assert.equal(checked.verdicts.get("alerts isolation")?.[0], "skipped");
    assert.equal(checked.verdicts.get("telemetry latest")?.[0], "ok");
  },
  "A role that may not be taken": async (_, settings) => {
    const checked = await check({ ...settings, DATABASE_ROLE: "pg_monitor" });
    assertFault(checked, "postgres", /does not let the login become DATABASE_ROLE/);
  },
  "A role that passes by the policies": async ({ postgres }, settings) => {
    await postgres.execute(
      "CREATE ROLE bypasser NOLOGIN BYPASSRLS; GRANT SELECT ON fleet_alert TO bypasser; GRANT bypasser TO pulsewire",
    );
    const checked = await check({ ...settings, DATABASE_ROLE: "bypasser" });
    assertFault(checked, "alerts isolation", /role "bypasser" has BYPASSRLS/);
    assert.equal(checked.verdicts.get("postgres")?.[0], "ok");
    assert.equal(checked.verdicts.get("alerts open")?.[0], "skipped");
  },
  "A login that passes by the policies, though its role does not": async (
    { postgres },
    settings,
  ) => {
    for (
      const [name, right] of [["all_mighty", "SUPERUSER"], ["passer_by", "BYPASSRLS"]] as const
    ) {
      await postgres.execute(
        `CREATE ROLE ${name} LOGIN NOINHERIT ${right} PASSWORD 'only-for-tests'; GRANT pulse_app TO ${name}`,
      );
      const url = postgres.appUrl.replace("//pulsewire:", `//${name}:`);
      const checked = await check({ ...settings, DATABASE_URL: url });
      assertFault(
        checked,
        "postgres",
        right === "SUPERUSER"
          ? /^the login is a superuser, which policies don't hold; cure: DATABASE_URL/
          : /^the login has BYPASSRLS, which policies don't hold; cure: DATABASE_URL/,
      );
      assert.equal(checked.verdicts.get("alerts isolation")?.[0], "ok");
      assert.equal(checked.verdicts.get("alerts open")?.[0], "ok");
    }
  },
  "A policy that is missing": async ({ postgres }, settings) => {
    await postgres.execute("DROP POLICY fleet_alert_tenant ON fleet_alert");
    const checked = await check(settings);
    await restorePolicy(postgres);
    assertFault(checked, "alerts isolation", /no policy lets role "pulse_app" read it/);
  },
  "A policy that shows rows to who names no tenant": async ({ postgres }, settings) => {
    await postgres.execute("CREATE POLICY open_door ON fleet_alert USING (true)");
    const checked = await check(settings);
    await postgres.execute("DROP POLICY open_door ON fleet_alert");
    assertFault(
      checked,
      "alerts isolation",
      /policies show rows to a transaction that names no tenant/,
    );
  },
  "A policy that shows one tenant the rows of another": async ({ postgres }, settings) => {
    await postgres.execute(
      "CREATE POLICY parent ON fleet_alert USING (tenant_id = 'globex' AND current_setting('app.tenant_id', true) = 'acme')",
    );
    const checked = await check(settings);
    await postgres.execute("DROP POLICY parent ON fleet_alert");
    assertFault(checked, "alerts tenants", /^acme sees 1 rows of other tenants in fleet_alert/);
    assert.equal(checked.verdicts.get("alerts isolation")?.[0], "ok");
  },
  "A channel that nobody can hear": async (_, settings) => {
    const checked = await check({
      ...settings,
      ALERT_NOTIFY_CHANNEL: "pulsewire_alerts",
      DATABASE_LISTEN_URL: "postgres://pulsewire:hunter2@127.0.0.1:9/postgres",
    });
    assertFault(
      checked,
      "notifications",
      /cure: DATABASE_LISTEN_URL must lead to the server itself/,
    );
  },
  [`A pooler that keeps no listener${pgbouncer === null ? ` (left out: ${NO_POOLER})` : ""}`]:
    async (
      { postgres },
      settings,
    ) => {
      if (pgbouncer === null) return;
      const url = postgres.appUrl;
      await using bouncer = await PgBouncer.start({ path: pgbouncer, url, poolSize: 4 });
      const pooled = {
        ...settings,
        DATABASE_URL: bouncer.through(url),
        DATABASE_PREPARE: "false",
        ALERT_NOTIFY_CHANNEL: "fleet_alert",
        READ_TIMEOUT_SECONDS: "2",
      };
      const checked = await check(pooled);
      assertFault(
        checked,
        "notifications",
        /nothing was heard within 2000 ms; cure: DATABASE_LISTEN_URL/,
      );
      const past = await check({ ...pooled, DATABASE_LISTEN_URL: url });
      assert.equal(past.code, 0, past.said);
      assert.deepEqual(past.verdicts.get("notifications"), [
        "ok",
        "what is said on fleet_alert is heard",
      ]);
    },
  "A bucket that is missing": async (_, settings) => {
    const checked = await check(settings, "--tenant initech");
    assertFault(
      checked,
      "telemetry devices",
      /cure: create the bucket or database telemetry_initech/,
    );
    assert.equal(checked.verdicts.get("telemetry")?.[0], "ok");
    assert.equal(checked.verdicts.get("alerts open")?.[0], "ok");
  },
  "An InfluxDB that does not answer": async (_, settings) => {
    const checked = await check({ ...settings, INFLUXDB_URL: "http://127.0.0.1:9" });
    assertFault(checked, "telemetry", /cure: INFLUXDB_URL must be right and reachable/);
    assert.equal(checked.verdicts.get("telemetry range")?.[0], "skipped");
    assert.equal(checked.verdicts.get("alerts state")?.[0], "ok");
  },
  "Databases that hang": async (databases, settings) => {
    databases.influxd.freeze();
    try {
      const checked = await check({ ...settings, READ_TIMEOUT_SECONDS: "1" });
      assertFault(checked, "telemetry", /did not answer within 1000 ms; cure: INFLUXDB_URL/);
      assert.equal(checked.verdicts.get("alerts open")?.[0], "ok");
    } finally {
      databases.influxd.thaw();
    }
    using deaf = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const checked = await check({
      ...settings,
      READ_TIMEOUT_SECONDS: "1",
      DATABASE_URL: `postgres://pulsewire:hunter2@127.0.0.1:${deaf.addr.port}/postgres`,
    });
    assertFault(
      checked,
      "postgres",
      /did not take a connection within 1000 ms; cure: DATABASE_URL/,
    );
  },
  "Telemetry in PostgreSQL is held to its policies, too": async ({ postgres }, settings) => {
    const inPostgres = { ...settings, TELEMETRY_SOURCE: "postgres" };
    const right = await check(inPostgres);
    assert.equal(right.code, 0, right.said);
    assert.equal(right.verdicts.get("telemetry isolation")?.[0], "ok");
    await postgres.execute("ALTER TABLE telemetry NO FORCE ROW LEVEL SECURITY");
    const checked = await check(inPostgres);
    await postgres.execute("ALTER TABLE telemetry FORCE ROW LEVEL SECURITY");
    assertFault(checked, "telemetry isolation", /row-level security is not forced/);
    assert.equal(checked.verdicts.get("telemetry")?.[0], "failed");
  },
  "An issuer that is up, and one that is down": async (_, settings) => {
    const { JWT_SECRET: _secret, ...unsigned } = settings;
    await using issuer = new LoopbackIssuer([(await generateSigner("ES256", "k1")).jwk]);
    const found = { ...unsigned, OIDC_ISSUER: issuer.issuer, JWT_AUDIENCE: "pulse" };
    const up = await check(found);
    assert.equal(up.code, 0, up.said);
    assert.deepEqual(up.verdicts.get("keys"), ["ok", "OIDC_ISSUER answers with keys"]);
    const address = `${issuer.jwksUrl.href}?key=hunter2`;
    issuer.behaviour = "failing";
    assertFault(
      await check({ ...unsigned, JWKS_URL: address }),
      "keys",
      /status is 503.*cure: JWKS_URL/,
    );
    await issuer.goDown();
    const down = await check({ ...unsigned, JWKS_URL: address });
    assertFault(down, "keys", /cure: JWKS_URL must be reachable/);
    assert.match(down.verdicts.get("audience")?.[1] ?? "", /cure: set JWT_AUDIENCE$/);
  },
};

async function restorePolicy(postgres: Databases["postgres"]): Promise<void> {
  await postgres.execute(
    await Deno.readTextFile(new URL("../../sql/03_policies.sql", import.meta.url)),
  );
}

const missing = leftOut();
Deno.test({
  name: `check${missing === null ? "" : ` (${missing})`}`,
  ignore: missing !== null,
  async fn(t) {
    await using databases = await Databases.open();
    const timestamp = instant({ agoMs: 1_000 });
    const point = { timestamp, metrics: { temp_c: 21.5 } };
    await databases.write("acme", [{ deviceId: "dev-1", ...point }, {
      deviceId: "dev-2",
      ...point,
    }]);
    await databases.openAlert("acme", "Too warm");
    await databases.openAlert("acme", "Much too warm");
    await databases.openAlert("globex", "Too cold");
    const settings = {
      DATABASE_URL: databases.postgres.appUrl,
      INFLUXDB_URL: databases.influxd.url,
      JWT_SECRET: TEST_SECRET,
    };
    for (const [name, step] of Object.entries(STEPS)) {
      const ignore = name.includes("(left out: ");
      await t.step({ name, ignore, fn: () => step(databases, settings) });
    }
  },
});

Deno.test("Flags that prove nothing are refused", async () => {
  for (const words of ["check --other-tenant globex", "check --tenant acme --other-tenant acme"]) {
    await using cli = await CliProcess.run(words.split(" "));
    assert.equal((await cli.status).code, 2);
    assert.match(cli.stderr, /^Flags? --/);
  }
});

Deno.test("Settings that can't be meant end it with 2 and a sentence, before anything is reached", async () => {
  const settings = { DATABASE_URL: "postgres://a:hunter2@db/x", INFLUXDB_URL: "http://influx" };
  const wrong: readonly Settings[] = [
    { JWT_SECRET: TEST_SECRET, DATABASE_URL: "postgres://a:hunter2@db/x?sslmode=maybe" },
    { OIDC_ISSUER: "https://issuer.example.com/?key=hunter2" },
  ];
  for (const values of wrong) {
    await using cli = await CliProcess.run(["check"], { settings: { ...settings, ...values } });
    assert.equal((await cli.status).code, 2, cli.said);
    assert.match(cli.stderr, /^Settings can't be used:\n {2}.*(sslmode|no query).*\n$/);
    assert.doesNotMatch(cli.said, /hunter2/);
    assert.equal(cli.stdout, "");
  }
});

Deno.test("A secret that a driver put into a text is taken out, in each form that it has", () => {
  const values: Settings = {
    DATABASE_URL: "postgres://pulse:p%40ss-word@db/pulse",
    INFLUXDB_URL: "http://influx",
    INFLUXDB_TOKEN: "influx-token",
    JWKS_URL: "https://keys.example.com/certs?key=of-mine",
  };
  const config = readConfig({ get: (name) => values[name], readFile: () => assert.fail() });
  assert.equal(
    redaction(config)(
      "p@ss-word p%40ss-word influx-token https://keys.example.com/certs?key=of-mine",
    ),
    "… … … https://keys.example.com/certs?…",
  );
});
