// The command `tail` against a real service on real databases: what it prints, how it comes back, and how it ends.
import assert from "node:assert/strict";
import { freePort } from "../support/free_port.ts";
import { Databases, instant, leftOut, type Settings } from "../service/databases.ts";
import { ServiceProcess } from "../service/service_process.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { CliProcess } from "./cli_process.ts";

interface Plant {
  readonly databases: Databases;
  readonly port: number;
  /** Where the service listens, as `--url` takes it. */
  readonly url: string;
  start(): Promise<ServiceProcess>;
}

/** Timestamps of the samples that were printed as JSON. */
function samplesOf(cli: CliProcess): readonly unknown[] {
  return cli.messages.filter(({ type }) => type === "sample").map(({ timestamp }) => timestamp);
}

function statesOf(cli: CliProcess): readonly unknown[] {
  return cli.messages.filter(({ type }) => type === "state").map(({ state }) => state);
}

function hasType(cli: CliProcess, name: string): boolean {
  return cli.messages.some(({ type }) => type === name);
}

type Step = (plant: Plant) => Promise<void>;

const STEPS: Readonly<Record<string, Step>> = {
  "History, what is stored now, alerts and the fleet are one JSON message a line": async (
    plant,
  ) => {
    const { databases, url } = plant;
    const stored = [instant({ agoMs: 60_000, nanos: 1 }), instant({ agoMs: 30_000, nanos: 2 })];
    for (const timestamp of stored) {
      await databases.write("acme", [{ deviceId: "dev-1", timestamp, metrics: { temp_c: 20 } }]);
    }
    const alertId = await databases.openAlert("acme", "Too warm");
    await using _service = await plant.start();
    const words = `tail --url ${url} -d dev-1 --mode every --since 10m --alerts --fleet --json`;
    await using cli = await CliProcess.start(words.split(" "), {
      settings: { PULSEWIRE_TOKEN: await signToken() },
    });
    await cli.saying(() => samplesOf(cli).length >= 2, "the history");
    const live = instant({ nanos: 3 });
    await databases.write("acme", [{
      deviceId: "dev-1",
      timestamp: live,
      metrics: { temp_c: 21 },
    }]);
    await cli.saying(() => samplesOf(cli).length >= 3, "the new sample");
    assert.deepEqual(samplesOf(cli), [...stored, live]);
    const [first] = cli.messages.filter(({ type }) => type === "sample");
    assert.deepEqual(first, {
      type: "sample",
      device_id: "dev-1",
      timestamp: stored[0],
      metrics: { temp_c: 20 },
      origin: "history",
    });
    await cli.saying(() => hasType(cli, "alerts") && hasType(cli, "fleet"), "alerts and the fleet");
    const alerts = cli.messages.find(({ type }) => type === "alerts")?.alerts;
    assert.deepEqual((alerts as { alert_id: number }[]).map(({ alert_id }) => alert_id), [alertId]);
    await databases.closeAlert(alertId);
    await cli.saying(() => hasType(cli, "alert_changes"), "the alert's end");
    assert.deepEqual(cli.messages.find(({ type }) => type === "alert_changes")?.closed, [alertId]);
    cli.signal("SIGINT");
    assert.equal((await cli.status).code, 0);
    assert.equal(cli.stderr, "");
  },
  "It comes back when the service was away, and prints each stored sample once": async (plant) => {
    const { databases, url } = plant;
    const written: string[] = [];
    const write = async () => {
      const timestamp = instant({ nanos: 100 + written.length });
      written.push(timestamp);
      await databases.write("acme", [{ deviceId: "dev-2", timestamp, metrics: { n: 1 } }]);
      // The next one is later by a second at least, so that none replaces another.
      const next = Math.floor(Date.now() / 1_000) * 1_000 + 1_000;
      await until(() => Date.now() > next, { what: "the next second" });
    };
    await write();
    const first = await plant.start();
    await using cli = await CliProcess.start(
      ["tail", "--url", url, "-d", "dev-2", "--mode", "every", "--since", "5m", "--json"],
      { settings: { PULSEWIRE_TOKEN: await signToken() } },
    );
    await cli.saying(() => samplesOf(cli).length >= 1, "the first sample");
    await first[Symbol.asyncDispose]();
    await cli.saying(() => statesOf(cli).includes("offline"), "that the service is gone");
    const lost = cli.messages.find(({ state }) => state === "offline");
    assert.doesNotMatch(String(lost?.reason), /Could not connect/);
    await write();
    await write();
    await using _second = await plant.start();
    await cli.saying(
      () => statesOf(cli).filter((state) => state === "live").length >= 2,
      "its return",
    );
    await write();
    await cli.saying(() => samplesOf(cli).length >= written.length, "all samples");
    cli.signal("SIGTERM");
    assert.equal((await cli.status).code, 0);
    assert.deepEqual(samplesOf(cli), written);
  },
  "For people it prints words, and nothing that could command their terminal": async (plant) => {
    const { databases, url } = plant;
    const summary = 'Cold\u001b[2J\nalert forged "x"';
    const timestamp = instant();
    await databases.openAlert("acme", summary);
    await databases.write("acme", [
      { deviceId: "dev-3", timestamp, metrics: { mode: "\u009b31m", on: true, temp_c: 1.5 } },
    ]);
    await using _service = await plant.start();
    await using cli = await CliProcess.start(
      ["tail", "--url", url, "-d", "dev-3", "-a", "--fleet"],
      {
        settings: { PULSEWIRE_TOKEN: await signToken() },
      },
    );
    const said = () =>
      [/ dev-3 /, /^alert open /m, /^fleet /m].every((line) => line.test(cli.stdout));
    await cli.saying(said, "a line of each kind");
    cli.signal("SIGINT");
    assert.equal((await cli.status).code, 0);
    const line = cli.stdout.split("\n").find((one) => one.includes("dev-3"));
    assert.ok(line?.startsWith(`${timestamp}  dev-3  `), String(line));
    for (const value of ['mode="\\u009b31m"', "on=true", "temp_c=1.5"]) {
      assert.ok(line?.includes(value));
    }
    assert.match(cli.stdout, /alert open .*dev-1.*severity 3.*"Cold\\u001b\[2J\\nalert forged/);
    assert.match(cli.stdout, /^fleet {2}\d+ devices, \d+ online, \d+ stale; 1 alerts open$/m);
    // deno-lint-ignore no-control-regex -- the very thing that must not be there
    assert.doesNotMatch(cli.said, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    assert.match(cli.stderr, /^live$/m);
  },
  "It ends with 0 when nobody reads it any more": async (plant) => {
    const { databases, url } = plant;
    await using _service = await plant.start();
    await using cli = await CliProcess.start(["tail", "--url", url, "-d", "dev-4", "--json"], {
      settings: { PULSEWIRE_TOKEN: await signToken() },
    });
    await cli.saying(() => statesOf(cli).includes("live"), "that it is live");
    await cli.stopReading();
    let hasEnded = false;
    cli.status.then(() => hasEnded = true);
    await until(async () => {
      const point = { deviceId: "dev-4", timestamp: instant({ nanos: 5 }), metrics: { n: 1 } };
      await databases.write("acme", [point]);
      return hasEnded;
    }, { withinMs: 60_000, what: "its end" });
    const { code, signal } = await cli.status;
    assert.deepEqual({ code, signal }, { code: 0, signal: null });
    assert.equal(cli.stderr, "");
  },
  "A token that is refused ends it with 1, and is not shown": async (plant) => {
    await using _service = await plant.start();
    const token = await signToken({ exp: 1 });
    for (const settings of [{ PULSEWIRE_TOKEN: token }, undefined]) {
      const place = settings === undefined ? ["--token-file", "-"] : [];
      await using cli = await CliProcess.run(["tail", "--url", plant.url, "-a", ...place], {
        settings: settings ?? {},
        ...(settings === undefined ? { input: `${token}\n` } : {}),
      });
      assert.equal((await cli.status).code, 1, cli.said);
      assert.match(cli.stderr, /^error: .* \(unauthorized\)$/m);
      assert.ok(!cli.said.includes(token.slice(-20)), "it shows the token");
    }
    const role = await signToken({ role: "nobody" });
    await using cli = await CliProcess.run(["tail", "--url", plant.url, "-d", "x", "--json"], {
      settings: { PULSEWIRE_TOKEN: role },
    });
    assert.equal((await cli.status).code, 1, cli.said);
    assert.equal(cli.messages.at(-1)?.code, "unauthorized", cli.said);
  },
  "A token's file is read anew, so that who renews it mends the connection": async (plant) => {
    await using _service = await plant.start();
    const path = await Deno.makeTempFile();
    await Deno.writeTextFile(path, await signToken({ exp: 1 }));
    const words = ["tail", "--url", plant.url, "-a", "--json", "--token-file", path];
    {
      await using cli = await CliProcess.run(words);
      assert.equal((await cli.status).code, 2);
      assert.match(cli.stderr, /may only read \/run\/secrets/);
      assert.ok(!cli.said.includes(path), "it shows the path");
    }
    await using cli = await CliProcess.start(words, { more: [`--allow-read=${path}`] });
    await cli.saying(() => statesOf(cli).includes("unauthorized"), "that it was refused");
    await Deno.writeTextFile(path, `${await signToken()}\n`);
    await cli.saying(() => statesOf(cli).includes("live"), "that it is live");
    cli.signal("SIGINT");
    assert.equal((await cli.status).code, 0);
    await Deno.remove(path);
  },
  "A device that the service refuses ends it with 1": async (plant) => {
    await using _service = await plant.start();
    await using cli = await CliProcess.run(["tail", "--url", plant.url, "-d", "x".repeat(200)], {
      settings: { PULSEWIRE_TOKEN: await signToken() },
    });
    assert.equal((await cli.status).code, 1, cli.said);
    assert.match(cli.stderr, /^error: /m);
  },
};

Deno.test("Without --url it goes where HOST and PORT say, and tells the address that nobody answers at", async () => {
  const port = freePort();
  const settings = { HOST: "0.0.0.0", PORT: String(port), PULSEWIRE_TOKEN: await signToken() };
  const address = `http://127.0.0.1:${port}/api/v2/ws`;
  {
    await using cli = await CliProcess.start(["tail", "-a"], { settings });
    await cli.saying(() => (cli.stderr.match(/^offline: .*$/gm) ?? []).length >= 2, "two failures");
    cli.signal("SIGINT");
    assert.equal((await cli.status).code, 0);
    const [line] = cli.stderr.match(/^offline: .*$/m) ?? [];
    assert.ok(line !== undefined);
    assert.match(line, /, again in \d+\.\d s$/);
    assert.ok(line.startsWith(`offline: Could not connect to ${address}, `), line);
    assert.doesNotMatch(cli.stderr, /closed with/);
  }
  await using cli = await CliProcess.start(["tail", "-a", "--json"], { settings });
  await cli.saying(() => statesOf(cli).includes("offline"), "its failure");
  const failed = cli.messages.find(({ state }) => state === "offline");
  assert.equal(failed?.reason, `Could not connect to ${address}`);
});

const missing = leftOut();
Deno.test({
  name: `tail${missing === null ? "" : ` (${missing})`}`,
  ignore: missing !== null,
  async fn(t) {
    await using databases = await Databases.open();
    const port = freePort();
    const settings: Settings = {
      ...databases.settings,
      JWT_SECRET: TEST_SECRET,
      PORT: String(port),
      WS_POLL_SECONDS: "0.2",
      DRAIN_SECONDS: "1",
    };
    const plant: Plant = {
      databases,
      port,
      url: `http://127.0.0.1:${port}`,
      async start() {
        const service = await ServiceProcess.start(settings);
        await service.logged("listening");
        return service;
      },
    };
    for (const [name, step] of Object.entries(STEPS)) await t.step(name, () => step(plant));
  },
});
