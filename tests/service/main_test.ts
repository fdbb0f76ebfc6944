// main.ts as a process: what it says at start, what it refuses, and how it leaves.
import assert from "node:assert/strict";
import { TestClient } from "../support/client.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { Databases, instant, leftOut } from "./databases.ts";
import { ServiceProcess } from "./service_process.ts";

const SETTINGS = {
  DATABASE_URL: "postgres://nobody:hunter2@127.0.0.1:1/none",
  INFLUXDB_URL: "http://127.0.0.1:1",
  INFLUXDB_TOKEN: "hunter2",
  JWT_SECRET: TEST_SECRET,
  PORT: "0",
  WS_POLL_SECONDS: "0.2",
  DRAIN_SECONDS: "1",
};

async function socketUrl(service: ServiceProcess): Promise<string> {
  return `ws://127.0.0.1:${await service.port()}/api/v2/ws?token=${await signToken()}`;
}

Deno.test("The start line names the native engine and what it can't defend against", async () => {
  await using service = await ServiceProcess.start({ ...SETTINGS, WS_ENGINE: "deno" });
  const listening = await service.logged("listening");
  assert.equal(listening.engine, "deno");
  assert.match(String(listening.address), /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(listening.poll_seconds, 0.2);
  const weakness = await service.logged("engine_weakness");
  assert.match(String(weakness.weakness), /bounds no message and no header/);
  assert.match(String(weakness.weakness), /can't end a stuck peer/);
  assert.match(String(weakness.weakness), /never frees the descriptor/);
  const page = await fetch(`${listening.address}/`);
  assert.equal(page.status, 200);
  await page.body?.cancel();
  assert.equal(await (await fetch(`${listening.address}/livez`)).text(), "ok\n");
});

Deno.test("The ws engine is the default, and has no weakness to tell of", async () => {
  await using service = await ServiceProcess.start(SETTINGS);
  assert.equal((await service.logged("listening")).engine, "ws");
  await using client = await TestClient.connect(await socketUrl(service));
  await client.subscribe("dev-1");
  assert.equal(service.records.find(({ message }) => message === "engine_weakness"), undefined);
});

Deno.test("Settings that can't be used end it with 2 and every problem, and no secret", async () => {
  await using service = await ServiceProcess.start({
    DATABASE_URL: "mysql://u:hunter2@db",
    JWT_SECRET: "hunter2",
    PORT: "none",
    LOG_LEVEL: "loud",
  });
  assert.equal((await service.status).code, 2);
  const problems = ["DATABASE_URL", "JWT_SECRET", "PORT", "LOG_LEVEL", "INFLUXDB_URL is missing"];
  for (const problem of problems) {
    assert.match(service.stderr, new RegExp(`^  ${problem}`, "m"));
  }
  assert.equal(service.stderr.trim().split("\n").length, problems.length + 1, service.stderr);
  assert(!service.said.includes("hunter2"));
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} closes the sockets with 1012 and ends it with 0`, async () => {
    await using service = await ServiceProcess.start(SETTINGS);
    const url = await socketUrl(service);
    const clients = await Promise.all([TestClient.connect(url), TestClient.connect(url)]);
    for (const client of clients) await client.subscribe("dev-1");
    service.signal(signal);
    for (const client of clients) {
      assert.deepEqual(await client.closed, { code: 1012, reason: "Restarting" });
    }
    assert.equal((await service.status).code, 0);
    await service.logged("left");
    assert(!service.said.includes("hunter2") && !service.said.includes(url.slice(-40)));
  });
}

Deno.test("The process survives exceptions in handlers, timers and promises", async () => {
  await using service = await ServiceProcess.start(SETTINGS, {
    entry: "tests/service/faulty_main.ts",
  });
  await using client = await TestClient.connect(await socketUrl(service));
  await client.subscribe("dev-1");
  for (let round = 0; round < 3; round++) {
    const answer = await client.ask({ action: "subscribe", type: "alerts" });
    assert.equal(answer.code, "internal");
  }
  const causes = () =>
    service.records.filter(({ message }) => message === "uncaught_exception")
      .map(({ cause }) => String(cause).split("\n")[0]);
  for (const cause of ["Error: thrown in a timer", "Error: rejected unseen"]) {
    await until(() => causes().includes(cause), { what: cause, withinMs: 60_000 });
  }
  await client.push("telemetry", "dev-1");
  await client.close();
  service.signal("SIGTERM");
  assert.equal((await service.status).code, 0);
});

const missing = leftOut();
Deno.test({
  name: `main.ts serves real databases with the permissions of the start task${
    missing === null ? "" : ` (${missing})`
  }`,
  ignore: missing !== null,
  async fn() {
    await using databases = await Databases.open();
    const timestamp = instant({ nanos: 42 });
    await databases.write("acme", [{ deviceId: "dev-1", timestamp, metrics: { temp_c: 21.5 } }]);
    const alertId = await databases.openAlert("acme", "Too warm");
    await using service = await ServiceProcess.start({
      ...databases.settings,
      JWT_SECRET: TEST_SECRET,
      PORT: "0",
      WS_POLL_SECONDS: "0.2",
    });
    await using client = await TestClient.connect(await socketUrl(service));
    await client.subscribe("dev-1");
    await client.ask({ action: "subscribe", type: "alerts" });
    const { data } = await client.next(({ type }) => type === "telemetry");
    assert.deepEqual(data, { timestamp, metrics: { temp_c: 21.5 } });
    const { alerts } = await client.next(({ type }) => type === "alerts");
    assert.equal(alerts[0].alert_id, alertId);
    await client.push("telemetry");
    service.signal("SIGTERM");
    assert.equal((await client.closed).code, 1012);
    assert.equal((await service.status).code, 0);
    const bad = service.records.filter(({ level }) => !["INFO", "WARN"].includes(level));
    assert.deepEqual(bad, []);
  },
});
