// The command `token`: a token that the service takes, or none.
import assert from "node:assert/strict";
import { systemClock as clock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { verifierFromConfig } from "../../src/verifier_from_config.ts";
import { TEST_SECRET } from "../support/tokens.ts";
import { CliProcess } from "./cli_process.ts";

const SETTINGS = {
  DATABASE_URL: "postgres://nobody:hunter2@127.0.0.1:1/none",
  INFLUXDB_URL: "http://127.0.0.1:1",
  JWT_SECRET: TEST_SECRET,
};

function scopeOf(token: string, settings: Readonly<Record<string, string>>) {
  const config = readConfig({ get: (name) => settings[name], readFile: () => assert.fail() });
  return verifierFromConfig(config, { clock }).verify(token);
}

Deno.test("A token is one that the service takes, for the tenant, role, user and time that were asked for", async () => {
  await using cli = await CliProcess.run(["token", "--tenant", "acme"], { settings: SETTINGS });
  assert.equal((await cli.status).code, 0, cli.said);
  assert.equal(cli.stderr, "");
  assert.match(cli.stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const scope = await scopeOf(cli.stdout.trim(), SETTINGS);
  assert.deepEqual(
    { ...scope, expiresAt: 0 },
    { tenantId: "acme", role: "customer_admin", userId: "developer", email: null, expiresAt: 0 },
  );
  const settings = {
    ...SETTINGS,
    JWT_TENANT_CLAIM: "org.id",
    JWT_ROLE_CLAIM: "realm_access.roles",
    JWT_ISSUER: "https://issuer.example.com",
    JWT_AUDIENCE: "pulse",
    ALLOWED_ROLES: "viewer,admin",
  };
  const words = "token --tenant globex --role admin --user u-7 --ttl 2d";
  await using other = await CliProcess.run(words.split(" "), { settings });
  const named = await scopeOf(other.stdout.trim(), settings);
  assert.equal(named.tenantId, "globex");
  assert.equal(named.role, "admin");
  assert.equal(named.userId, "u-7");
  assert.ok(named.expiresAt - Date.now() > 86_400_000, "it lives longer than a day");
  assert.ok(named.expiresAt - Date.now() < 3 * 86_400_000, "it lives shorter than three");
});

Deno.test("No token is made that the service would refuse, and none where an issuer signs", async () => {
  const { JWT_SECRET: _, ...unsigned } = SETTINGS;
  const runs: readonly (readonly [string, Readonly<Record<string, string>>, number, RegExp])[] = [
    [
      "token --tenant acme --role root",
      SETTINGS,
      2,
      /Service would refuse this token: No allowed role/,
    ],
    ["token --tenant acme --ttl 8d", SETTINGS, 2, /--ttl must be above 0 and at most 7d, it is 8d/],
    ["token", SETTINGS, 2, /--tenant is missing/],
    [
      "token --tenant acme",
      { ...unsigned, JWKS_URL: "http://127.0.0.1:9/certs" },
      1,
      /^Cannot sign a token: JWT_SECRET is not set, the issuer signs/,
    ],
    [
      "token --tenant acme",
      { ...SETTINGS, OIDC_ISSUER: "http://127.0.0.1:9" },
      2,
      /JWT_SECRET and OIDC_ISSUER exclude each other/,
    ],
  ];
  for (const [words, settings, code, stderr] of runs) {
    await using cli = await CliProcess.run(words.split(" "), { settings });
    assert.equal((await cli.status).code, code, cli.said);
    assert.equal(cli.stdout, "");
    assert.match(cli.stderr, stderr);
    assert.ok(!cli.said.includes(TEST_SECRET) && !cli.said.includes("hunter2"));
  }
});
