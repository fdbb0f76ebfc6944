// The HTTP reads on databases in memory: shapes as text, limits at their edges, and who may ask.
import assert from "node:assert/strict";
import { SourceError } from "../../src/sources/source_error.ts";
import { instantOfMs } from "../../src/protocol/nano_instant.ts";
import { type FakeSources, fakeSources, outage } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";

interface Rest extends AsyncDisposable {
  readonly service: TestService;
  readonly sources: FakeSources;
  get(path: string, claims?: Record<string, unknown>): Promise<Answer>;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

async function startRest(settings: Record<string, string> = {}): Promise<Rest> {
  const sources = fakeSources();
  const service = await startService({ sources, settings });
  return {
    service,
    sources,
    async get(path, claims = {}) {
      const authorization = `Bearer ${await signToken(claims)}`;
      return await ask(service, path, { headers: { authorization } });
    },
    [Symbol.asyncDispose]: () => service.stop(),
  };
}

async function ask(service: TestService, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${service.origin}/api/v2${path}`, init);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") && text !== "";
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : null,
  };
}

function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.body.status, status);
  assert.equal(answer.body.code, code);
}

/** Seconds before now, on a whole second. */
function ago(seconds: number): string {
  return instantOfMs((Math.floor(Date.now() / 1_000) - seconds) * 1_000);
}

function put(sources: FakeSources, tenant: string, deviceId: string, seconds: number, v = 1) {
  sources.put(tenant, deviceId, { timestamp: ago(seconds), metrics: { v } });
}

Deno.test("Devices, samples and alerts have the shapes that are written down, newest first", async () => {
  await using rest = await startRest();
  const [older, newer] = [ago(20), ago(10)];
  rest.sources.put("acme", "dev-1", { timestamp: older, metrics: { temp_c: 21.5 } });
  rest.sources.put("acme", "dev-1", { timestamp: newer, metrics: { temp_c: 22, fw: "é" } });
  rest.sources.setAlerts("acme", [alertOf(2), alertOf(1, { status: "CLOSED" })]);
  const texts = {
    "/devices":
      `{"tenant_id":"acme","devices":[{"device_id":"dev-1","last":"${newer}"}],"count":1}`,
    "/devices/dev-1/telemetry":
      `{"device_id":"dev-1","telemetry":[{"timestamp":"${newer}","metrics":{"temp_c":22,"fw":"é"}},` +
      `{"timestamp":"${older}","metrics":{"temp_c":21.5}}],"count":2}`,
    "/devices/dev-1/telemetry/latest":
      `{"device_id":"dev-1","telemetry":[{"timestamp":"${newer}","metrics":{"temp_c":22,"fw":"é"}}],"count":1}`,
    "/devices/nobody/telemetry": `{"device_id":"nobody","telemetry":[],"count":0}`,
    "/alerts": `{"tenant_id":"acme","alerts":[${JSON.stringify(alertOf(2))}],"count":1}`,
    "/health":
      `{"status":"ok","server":"pulsewire/0.1.0","sources":{"telemetry":"ok","alerts":"ok"}}`,
  };
  for (const [path, text] of Object.entries(texts)) {
    const answer = await rest.get(path);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, text);
    assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
    assert.equal(answer.headers.get("cache-control"), "no-store");
  }
  assert.deepEqual(
    (await rest.get("/alerts?status=ALL")).body.alerts.map((alert: { alert_id: number }) =>
      alert.alert_id
    ),
    [2, 1],
  );
  assert.equal((await rest.get("/alerts?status=CLOSED")).body.count, 1);
});

Deno.test("A range includes its start and excludes its end, so that pages neither overlap nor leave gaps", async () => {
  await using rest = await startRest();
  const taken = Array.from({ length: 7 }, (_, n) => ago(70 - n * 10));
  for (const [v, timestamp] of taken.entries()) {
    rest.sources.put("acme", "dev-1", { timestamp, metrics: { v } });
  }
  const [first = "", second = "", , fourth = ""] = taken;
  const between = await rest.get(`/devices/dev-1/telemetry?start=${second}&end=${fourth}`);
  assert.deepEqual(
    between.body.telemetry.map(({ metrics }: { metrics: { v: number } }) => metrics.v),
    [2, 1],
  );
  const seen: string[] = [];
  let end = "";
  for (let page = 0; page < 10; page++) {
    const { body } = await rest.get(`/devices/dev-1/telemetry?limit=3&start=${first}${end}`);
    seen.push(...body.telemetry.map(({ timestamp }: { timestamp: string }) => timestamp));
    if (body.truncated !== true) break;
    end = `&end=${seen.at(-1)}`;
  }
  assert.deepEqual(seen, taken.toReversed());
  const query = rest.sources.historyReads.at(-1);
  assert.ok(query !== undefined && "after" in query);
  assert.match(query.after, /\.999999999Z$/);
});

Deno.test("Every parameter that can't be taken is named, with what was expected, and reads nothing", async () => {
  await using rest = await startRest({ MAX_HISTORY_SAMPLES: "500", MAX_HISTORY_SECONDS: "3600" });
  const telemetry = "/devices/dev-1/telemetry";
  const recent = ago(10);
  const whole = (name: string, max: number) => `${name} must be a whole number from 1 to ${max}`;
  const refusals: [path: string, parameter: string, detail: string | RegExp][] = [
    ["/devices?limit=0", "limit", whole("limit", 10_000)],
    ["/devices?limit=10001", "limit", whole("limit", 10_000)],
    ["/devices?limit=", "limit", whole("limit", 10_000)],
    ["/devices?limit=1.5", "limit", whole("limit", 10_000)],
    ["/devices?limit=1e3", "limit", whole("limit", 10_000)],
    ["/devices?limit=-1", "limit", whole("limit", 10_000)],
    ["/devices?limit=1&limit=1", "limit", "limit must be given once"],
    ["/devices?sort=name", "sort", "sort is not a parameter of this path"],
    ["/devices?__proto__=1", "__proto__", "__proto__ is not a parameter of this path"],
    ["/alerts?limit=1001", "limit", whole("limit", 1_000)],
    ["/alerts?status=open", "status", "status must be OPEN, CLOSED or ALL"],
    [`${telemetry}/latest?count=0`, "count", whole("count", 10)],
    [`${telemetry}/latest?count=11`, "count", whole("count", 10)],
    [`${telemetry}?limit=501`, "limit", whole("limit", 500)],
    [`${telemetry}?resolution_seconds=0`, "resolution_seconds", whole("resolution_seconds", 3_600)],
    [
      `${telemetry}?resolution_seconds=3601`,
      "resolution_seconds",
      whole("resolution_seconds", 3_600),
    ],
    [`${telemetry}?start=yesterday`, "start", /^start must be an instant of RFC 3339/],
    [`${telemetry}?end=1763463600`, "end", /^end must be an instant of RFC 3339/],
    [`${telemetry}?end=2026-02-30T00:00:00Z`, "end", /^end must be an instant of RFC 3339/],
    [`${telemetry}?start=${ago(3_700)}`, "start", "start must not be more than 3600 seconds ago"],
    [`${telemetry}?end=${ago(3_700)}`, "end", "end must not be more than 3600 seconds ago"],
    [`${telemetry}?start=${recent}&end=${recent}`, "end", "end must be later than start"],
    [`${telemetry}?start=${ago(-600)}`, "start", "start must not be in the future"],
  ];
  for (const [path, parameter, detail] of refusals) {
    const answer = await rest.get(path);
    assertProblem(answer, 400, "invalid_parameter");
    assert.equal(answer.body.parameter, parameter, path);
    if (typeof detail === "string") assert.equal(answer.body.detail, detail, path);
    else assert.match(answer.body.detail, detail, path);
  }
  // By `limit`; by `resolution_seconds`, `start` and `end`. No other fault crosses a limit.
  const { ledger } = rest.service.app;
  assert.equal(ledger.crossings("history_samples"), 1);
  assert.equal(ledger.crossings("history_seconds"), 3);
  const long = await rest.get(`/devices?${"x".repeat(4_000)}=1`);
  assertProblem(long, 400, "invalid_parameter");
  assert.ok(long.text.length < 400);
  assert.deepEqual([rest.sources.historyReads, rest.sources.alertListReads], [[], []]);
});

Deno.test("Lists have defaults and take the greatest values that are allowed", async () => {
  await using rest = await startRest({ MAX_HISTORY_SAMPLES: "500" });
  const limits = async (path: string) => {
    assert.equal((await rest.get(path)).status, 200, path);
    const read = rest.sources.historyReads.at(-1);
    assert.ok(read !== undefined);
    return "limit" in read ? read.limit : read.maxSamples;
  };
  assert.equal(await limits("/devices"), 1_000);
  assert.equal(await limits("/devices?limit=10000"), 10_000);
  assert.equal(await limits("/devices/d/telemetry"), 100);
  assert.equal(await limits("/devices/d/telemetry?limit=500"), 500);
  assert.equal(await limits("/devices/d/telemetry/latest?count=10"), 10);
  // One more than is shown tells whether there are more.
  for (const [query, limit] of [["", 101], ["?limit=1000", 1_001]] as const) {
    await rest.get(`/alerts${query}`);
    assert.equal(rest.sources.alertListReads.at(-1)?.limit, limit);
  }
});

Deno.test("A list that was cut at its limit says so", async () => {
  await using rest = await startRest();
  for (const n of [1, 2, 3]) put(rest.sources, "acme", `dev-${n}`, n);
  rest.sources.setAlerts("acme", [alertOf(3), alertOf(2), alertOf(1)]);
  for (const [path, list] of [["/devices", "devices"], ["/alerts", "alerts"]] as const) {
    const cut = (await rest.get(`${path}?limit=2`)).body;
    assert.deepEqual([cut[list].length, cut.count, cut.truncated], [2, 2, true]);
    const whole = (await rest.get(`${path}?limit=3`)).body;
    assert.deepEqual([whole[list].length, whole.truncated], [3, undefined]);
  }
});

Deno.test("A device whose data can't be understood in part is answered with the rest, which says so", async () => {
  await using rest = await startRest();
  put(rest.sources, "acme", "dev-1", 5);
  rest.sources.unreadable.add("dev-1");
  const { body } = await rest.get("/devices/dev-1/telemetry");
  assert.deepEqual([body.count, body.incomplete], [1, true]);
});

Deno.test("A token stands in the header, once, and is one", async () => {
  await using rest = await startRest();
  const token = await signToken();
  const bearer = (value: string) => ({ headers: { authorization: value } });
  const now = Math.floor(Date.now() / 1_000);
  const cases: [init: RequestInit, status: number, code: string, query?: string][] = [
    [{}, 401, "token_missing"],
    [{}, 401, "token_missing", `?token=${token}`],
    [bearer("Basic eDp5"), 401, "token_missing"],
    [bearer("Bearer nonsense"), 401, "invalid_token"],
    [bearer(`Bearer ${token.slice(0, -4)}AAAA`), 401, "invalid_token"],
    [bearer(`Bearer ${await signToken({ exp: now - 60 })}`), 401, "invalid_token"],
    [bearer(`Bearer ${token}, Bearer ${token}`), 400, "ambiguous_credential"],
    [bearer(`Bearer ${await signToken({ role: "guest" })}`), 403, "not_allowed"],
    [bearer(`Bearer ${await signToken({ tenant_id: "../x" })}`), 403, "not_allowed"],
  ];
  for (const path of ["/devices", "/alerts", "/devices/dev-1/telemetry"]) {
    for (const [init, status, code, query = ""] of cases) {
      const answer = await ask(rest.service, path + query, init);
      assertProblem(answer, status, code);
      if (status === 401) assert.equal(answer.headers.get("www-authenticate"), "Bearer");
      assert.ok(!answer.text.includes(token.slice(-20)));
    }
  }
  assert.deepEqual([rest.sources.historyReads, rest.sources.alertListReads], [[], []]);
});

Deno.test("Two tenants with the same device ids are each answered with their own", async () => {
  await using rest = await startRest();
  const tenants = ["north", "south"];
  for (const [v, tenant] of tenants.entries()) {
    put(rest.sources, tenant, "dev-1", 5, v);
    put(rest.sources, tenant, `only-${tenant}`, 60, v);
    rest.sources.setAlerts(tenant, [alertOf(v, { tenant_id: tenant })]);
  }
  for (const [v, tenant] of tenants.entries()) {
    const claims = { tenant_id: tenant };
    const devices = (await rest.get("/devices", claims)).body;
    assert.equal(devices.tenant_id, tenant);
    assert.deepEqual(
      devices.devices.map(({ device_id: id }: { device_id: string }) => id),
      ["dev-1", `only-${tenant}`],
    );
    const { telemetry } = (await rest.get("/devices/dev-1/telemetry", claims)).body;
    assert.deepEqual(telemetry.map(({ metrics }: { metrics: object }) => metrics), [{ v }]);
    const other = tenants[1 - v];
    assert.equal((await rest.get(`/devices/only-${other}/telemetry`, claims)).body.count, 0);
    assert.equal((await rest.get("/alerts", claims)).body.alerts[0].alert_id, v);
  }
});

Deno.test("An id in a path may hold anything that names a device, and nothing else", async () => {
  await using rest = await startRest();
  const ids = [
    "a/b",
    "a%2Fb",
    "100%",
    "Gerät-7 温度 🌡",
    "x' OR '1'='1",
    `") |> drop(columns: ["y"])`,
    "?limit=9",
    "#",
    "latest",
    "telemetry/latest",
    "__proto__",
    "x".repeat(128),
  ];
  for (const [v, id] of ids.entries()) {
    put(rest.sources, "acme", id, 5, v);
    for (const suffix of ["", "/latest"]) {
      const path = `/devices/${encodeURIComponent(id)}/telemetry${suffix}`;
      const { body, status } = await rest.get(path);
      assert.equal(status, 200, path);
      assert.equal(body.device_id, id);
      assert.deepEqual(body.telemetry[0]?.metrics, { v }, id);
    }
  }
  const refused = { "*": /reserved/, "a\nb": /control characters/, ["x".repeat(129)]: /128 bytes/ };
  for (const [id, detail] of Object.entries(refused)) {
    const answer = await rest.get(`/devices/${encodeURIComponent(id)}/telemetry`);
    assertProblem(answer, 400, "invalid_device_id");
    assert.match(answer.body.detail, detail);
  }
  assert.equal((await rest.get("/devices//telemetry")).status, 404);
  assert.equal((await rest.get("/devices/%zz/telemetry")).body.device_id, "%zz");
});

Deno.test("A source that can't be read is a problem that passes, and never an empty list", async () => {
  await using rest = await startRest();
  put(rest.sources, "acme", "dev-1", 5);
  const telemetry = ["/devices", "/devices/dev-1/telemetry", "/devices/dev-1/telemetry/latest"];
  for (const path of telemetry) {
    for (const kind of ["unavailable", "denied"] as const) {
      rest.sources.historyFault = () => new SourceError(kind, "secret-host refuses");
      const answer = await rest.get(path);
      assertProblem(answer, 503, "source_unavailable");
      assert.equal(answer.headers.get("retry-after"), "5");
      assert.ok(!answer.text.includes("secret"));
    }
    rest.sources.historyFault = () => new SourceError("missing", "No bucket telemetry_newcomer");
    const answer = await rest.get(path, { tenant_id: "newcomer" });
    assertProblem(answer, 503, "source_unavailable");
    assert.equal(answer.body.detail, "This tenant has no store of telemetry yet");
    rest.sources.historyFault = () => new SourceError("rejected", "Syntax near secret");
    assertProblem(await rest.get(path), 500, "internal");
    rest.sources.historyFault = null;
    assert.equal((await rest.get(path)).body.count, 1);
  }
  // Alerts are not hit by telemetry, nor the other way round.
  rest.sources.alertFault = outage;
  assertProblem(await rest.get("/alerts"), 503, "source_unavailable");
  assert.equal((await rest.get("/devices")).status, 200);
  assert.equal(rest.service.log.of("request_failed").length, telemetry.length);
});

Deno.test("Retry-After tells when a source that is down is tried again, and health says that it is", async () => {
  const sources = fakeSources();
  const degraded = { state: "degraded", since: Date.now(), retryAt: Date.now() + 20_000 } as const;
  const unknown = { state: "unknown", since: Date.now(), retryAt: null } as const;
  let telemetry: typeof degraded | typeof unknown = degraded;
  await using service = await startService({
    sources: { ...sources, state: () => ({ ...sources.state(), telemetry }) },
  });
  sources.historyFault = outage;
  const headers = { authorization: `Bearer ${await signToken()}` };
  const seconds = Number((await ask(service, "/devices", { headers })).headers.get("retry-after"));
  assert.ok(seconds > 15 && seconds <= 20, String(seconds));
  assert.equal((await ask(service, "/health")).body.status, "degraded");
  telemetry = unknown;
  assert.deepEqual((await ask(service, "/health")).body.sources, {
    telemetry: "unknown",
    alerts: "ok",
  });
  assert.equal((await ask(service, "/health")).body.status, "starting");
  assert.equal(sources.telemetryReads.length + sources.alertListReads.length, 0);
});

Deno.test("A tenant that asks too often is told when to come back, and no other tenant is", async () => {
  await using rest = await startRest({ MAX_REQUESTS_PER_SECOND: "1" });
  const paths = [
    "/devices",
    "/alerts",
    "/devices/dev-1/telemetry",
    "/devices/dev-1/telemetry/latest",
  ];
  const answers: Answer[] = [];
  // On a machine on which they take long, some places come back meanwhile.
  while (answers.at(-1)?.status !== 429 && answers.length < 100) {
    answers.push(await rest.get(paths[answers.length % paths.length] ?? ""));
  }
  assert.ok(answers.length > 2, "two are a burst");
  const refused = answers.at(-1);
  assert.ok(refused !== undefined);
  assertProblem(refused, 429, "too_many_requests");
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(refused.body.detail, "More than 1 requests a second of this tenant");
  assert.ok(rest.service.app.ledger.crossings("requests_per_second") >= 1);
  assert.equal((await rest.get("/devices", { tenant_id: "other" })).status, 200);
  assert.equal((await rest.get("/health")).status, 200);
});

Deno.test("A stranger who tries tokens is counted by address before any is verified", async () => {
  await using rest = await startRest({ MAX_HANDSHAKES_PER_SECOND: "1" });
  const headers = { authorization: "Bearer a.b.c" };
  const statuses: number[] = [];
  while (statuses.at(-1) !== 429 && statuses.length < 100) {
    statuses.push((await ask(rest.service, "/alerts", { headers })).status);
  }
  assert.ok(statuses.length > 10, "ten are a burst");
  assert.deepEqual(statuses, [...Array(statuses.length - 1).fill(401), 429]);
});

Deno.test("HEAD answers as GET without a body, OPTIONS says what may be done, all else is 405", async () => {
  await using rest = await startRest();
  const headers = { authorization: `Bearer ${await signToken()}` };
  const paths = [
    "/devices",
    "/alerts",
    "/devices/d/telemetry",
    "/devices/d/telemetry/latest",
    "/health",
  ];
  for (const path of paths) {
    const head = await ask(rest.service, path, { method: "HEAD", headers });
    assert.deepEqual([head.status, head.text], [200, ""], path);
    assert.match(head.headers.get("content-type") ?? "", /json/);
    const options = await ask(rest.service, path, { method: "OPTIONS" });
    assert.deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const answer = await ask(rest.service, path, { method, headers });
      assertProblem(answer, 405, "method_not_allowed");
      assert.equal(answer.headers.get("allow"), "GET, HEAD, OPTIONS");
    }
  }
});

for (const engine of ["ws", "deno"] as const) {
  Deno.test(`A client that goes away takes its read with it (${engine} engine)`, async () => {
    await using rest = await startRest({ WS_ENGINE: engine });
    const reasons: unknown[] = [];
    rest.sources.historyFault = (signal) =>
      new Promise<never>((_, reject) =>
        signal.addEventListener("abort", () => {
          reasons.push(signal.reason);
          reject(signal.reason);
        })
      );
    const headers = { authorization: `Bearer ${await signToken()}` };
    for (const path of ["/devices", "/devices/dev-1/telemetry?resolution_seconds=60"]) {
      const controller = new AbortController();
      const before = [rest.sources.historyReads.length, reasons.length] as const;
      const pending = ask(rest.service, path, { headers, signal: controller.signal });
      await until(() => rest.sources.historyReads.length === before[0] + 1);
      controller.abort();
      await assert.rejects(pending, { name: "AbortError" });
      await until(() => reasons.length === before[1] + 1);
    }
    assert.deepEqual(rest.service.log.of("request_failed"), []);
  });
}
