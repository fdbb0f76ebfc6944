// What the sources ask: which bucket, which devices, which bounds and credentials; no answer is looked at here.
import assert from "node:assert/strict";
import type { Clock } from "../../../src/clock.ts";
import type { InfluxOptions } from "../../../src/sources/influx/influx_options.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { LatestQuery, RangeQuery } from "../../../src/sources/telemetry_source.ts";
import { createSource, influxOptions, type Language } from "./influx_fixtures.ts";
import { serveStub, type StubRequest } from "./stub_server.ts";

const clock: Clock = {
  now: () => Date.parse("2026-11-18T12:00:00.250Z"),
  monotonicNow: () => 0,
  setTimeout: () => assert.fail("A source must start no timer"),
  clearTimeout: () => {},
};

const empty = { influxql: '{"results":[{"statement_id":0}]}', flux: "\r\n" } as const;

async function requestsOf(
  language: Language,
  deviceIds: LatestQuery["deviceIds"],
  options: Partial<InfluxOptions> = {},
): Promise<readonly StubRequest[]> {
  await using server = serveStub(() => new Response(empty[language]));
  const source = createSource[language](
    influxOptions({ url: server.url, org: "a & b", clock, ...options }),
  );
  await source.readLatest({ tenantId: "acme", deviceIds, signal: new AbortController().signal });
  return server.requests;
}

function fluxOf(request: StubRequest | undefined): string {
  return JSON.parse(request?.body ?? "").query;
}

Deno.test("InfluxQL names devices by bound parameters only and has both bounds in time", async () => {
  const [request, ...others] = await requestsOf("influxql", ["dev-1", "' OR 1 = 1"]);
  assert.equal(others.length, 0);
  assert.equal(`${request?.method} ${request?.path}`, "POST /query");
  const form = new URLSearchParams(request?.body);
  assert.equal(form.get("db"), "telemetry_acme");
  assert.equal(
    form.get("q"),
    `SELECT *::field FROM "telemetry" WHERE (("device_id"::tag = $d0) OR ("device_id"::tag = $d1))` +
      ` AND time > '2026-11-18T06:00:00.250000000Z' AND time <= '2026-11-18T12:01:00.250000000Z'` +
      ` GROUP BY * ORDER BY time DESC LIMIT 1`,
  );
  assert.deepEqual(JSON.parse(form.get("params") ?? ""), { d0: "dev-1", d1: "' OR 1 = 1" });
});

Deno.test("Flux has both bounds in time, moved by a nanosecond to the sides that InfluxQL includes", async () => {
  const [request] = await requestsOf("flux", ["dev-1"]);
  assert.equal(`${request?.method} ${request?.path}`, "POST /api/v2/query?org=a+%26+b");
  assert.match(fluxOf(request), /^from\(bucket: "telemetry_acme"\) \|> range\(/);
  const bounds =
    "range(start: 2026-11-18T06:00:00.250000001Z, stop: 2026-11-18T12:01:00.250000001Z)";
  assert.ok(fluxOf(request).includes(bounds));
});

Deno.test("All devices are one query in either language, with the bounds of any other and only of points that have the tag", async () => {
  const names = { deviceTag: 't"\\y' };
  const [influxql, ...more] = await requestsOf("influxql", "all", names);
  const form = new URLSearchParams(influxql?.body);
  assert.equal(
    form.get("q"),
    `SELECT *::field FROM "telemetry" WHERE "t\\"\\\\y"::tag != ''` +
      ` AND time > '2026-11-18T06:00:00.250000000Z' AND time <= '2026-11-18T12:01:00.250000000Z'` +
      ` GROUP BY * ORDER BY time DESC LIMIT 1`,
  );
  assert.equal(form.get("params"), "{}");
  const [flux, ...others] = await requestsOf("flux", "all", names);
  const bounds =
    "range(start: 2026-11-18T06:00:00.250000001Z, stop: 2026-11-18T12:01:00.250000001Z)";
  assert.ok(fluxOf(flux).includes(bounds));
  assert.ok(fluxOf(flux).includes(`|> filter(fn: (r) => r["t\\"\\\\y"] != "") |> last()`));
  assert.deepEqual([more, others], [[], []]);
});

for (const language of ["influxql", "flux"] as const) {
  Deno.test(`A tenant that is called like a bucket of InfluxDB's own is asked for nowhere (${language})`, async () => {
    await using server = serveStub(() => new Response(empty[language]));
    const options = influxOptions({ url: server.url, bucketTemplate: "{tenant}", clock });
    const source = createSource[language](options);
    for (const tenantId of ["_internal", "_monitoring", "_tasks", "_"]) {
      const { signal } = new AbortController();
      await assert.rejects(
        source.readLatest({ tenantId, deviceIds: ["dev-1"], signal }),
        (error: unknown) => error instanceof SourceError && error.kind === "missing",
      );
    }
    assert.equal(server.requests.length, 0);
  });
}

Deno.test("Flux escapes quotes, backslashes, dollar signs, line breaks and NUL in device ids", async () => {
  const ids = ['a"b', "c\\", "${r}", "d\ne", "f\0g", 'h$"', "i$\\j", "$${k}"];
  const [request] = await requestsOf("flux", ids);
  const literals = [
    '"a\\"b"',
    '"c\\\\"',
    '"\\x24{r}"',
    '"d\\ne"',
    '"f\\x00g"',
    '"h\\x24\\""',
    '"i\\x24\\\\j"',
    '"\\x24\\x24{k}"',
  ];
  for (const literal of literals) {
    assert.ok(fluxOf(request).includes(`r["device_id"] == ${literal})`), literal);
  }
});

Deno.test("Names from the settings are quoted in both languages", async () => {
  const names = { measurement: 'm"\\x\n', deviceTag: 't"\\y' };
  const [influxql] = await requestsOf("influxql", ["dev-1"], names);
  const text = new URLSearchParams(influxql?.body).get("q") ?? "";
  assert.ok(text.includes('FROM "m\\"\\\\x\\n" WHERE ("t\\"\\\\y"::tag = $d0)'));
  const [flux] = await requestsOf("flux", ["dev-1"], names);
  assert.ok(fluxOf(flux).includes('r._measurement == "m\\"\\\\x\\n"'));
  assert.ok(fluxOf(flux).includes('r["t\\"\\\\y"] == "dev-1"'));
});

for (const [language, maxDevices] of [["influxql", 1_000], ["flux", 200]] as const) {
  Deno.test(`${language} reads few devices in one query and many in as few as it takes, each device once`, async () => {
    const deviceIds = Array.from({ length: 2 * maxDevices + 1 }, (_, n) => `dev-${n}`);
    assert.equal((await requestsOf(language, deviceIds.slice(0, maxDevices))).length, 1);
    const requests = await requestsOf(language, deviceIds);
    assert.equal(requests.length, 3);
    const asked = requests.flatMap((request) =>
      language === "flux"
        ? [...fluxOf(request).matchAll(/== "(dev-\d+)"/g)].map((match) => match[1])
        : Object.values(JSON.parse(new URLSearchParams(request.body).get("params") ?? ""))
    );
    assert.deepEqual(asked, deviceIds);
  });

  Deno.test(`${language} sends the credentials that were set and none otherwise`, async () => {
    const header = async (auth: InfluxOptions["auth"]) =>
      (await requestsOf(language, ["dev-1"], { auth }))[0]?.headers.get("authorization");
    assert.equal(await header({ kind: "none" }), null);
    assert.equal(await header({ kind: "token", token: "s3cret==" }), "Token s3cret==");
    const password = { kind: "password", username: "ann", password: "ä:ö" } as const;
    assert.equal(await header(password), "Basic YW5uOsOkOsO2");
  });

  Deno.test(`${language} is asked below its address's path, whether or not that ends like one of its own`, async () => {
    await using server = serveStub(() => new Response(empty[language]));
    const { signal } = new AbortController();
    const paths = async (suffix: string) => {
      const source = createSource[language](influxOptions({ url: server.url + suffix, clock }));
      await source.readLatest({ tenantId: "acme", deviceIds: ["dev-1"], signal });
      return server.requests.at(-1)?.path.split("?")[0];
    };
    const own = language === "flux" ? "/api/v2/query" : "/query";
    for (const suffix of ["", "/", "//", "/api/v2", "/api/v2/", "/api/v2//"]) {
      assert.equal(await paths(suffix), own);
    }
    for (const suffix of ["/influx", "/influx/", "/influx//"]) {
      assert.equal(await paths(suffix), `/influx${own}`);
    }
  });

  Deno.test(`${language} puts a tenant into its template as it stands, at every place`, async () => {
    const [request] = await requestsOf(language, ["dev-1"], {
      bucketTemplate: "$&_{tenant}/{tenant}$1",
    });
    const bucket = language === "flux"
      ? /bucket: "(.*?)"/.exec(fluxOf(request))?.[1]?.replaceAll("\\x24", "$")
      : new URLSearchParams(request?.body).get("db");
    assert.equal(bucket, "$&_acme/acme$1");
  });

  Deno.test(`${language} asks nothing for a tenant id that is not one, or a template without a tenant`, async () => {
    await using server = serveStub(() => new Response(empty[language]));
    const read = (tenantId: string, bucketTemplate: string) =>
      createSource[language](influxOptions({ url: server.url, bucketTemplate }))
        .readLatest({ tenantId, deviceIds: ["dev-1"], signal: new AbortController().signal });
    for (const tenantId of ["", "a/b", 'a"', "a b", "a\n", "a\0", "x".repeat(65)]) {
      await assert.rejects(read(tenantId, "telemetry_{tenant}"), TypeError);
    }
    await assert.rejects(read("acme", "telemetry"), TypeError);
    assert.equal(server.requests.length, 0);
  });

  Deno.test(`${language} refuses a token that no header can carry without repeating it`, () => {
    const auth = { kind: "token", token: "s3cret\n" } as const;
    assert.throws(
      () => createSource[language](influxOptions({ auth })),
      (error: unknown) => error instanceof TypeError && !error.message.includes("s3cret"),
    );
  });
}

const range = {
  tenantId: "acme",
  after: "2026-11-18T11:00:00.123456789Z",
  until: "2026-11-18T11:30:00.999999999Z",
  maxSamples: 10,
  order: "ascending",
  resolutionSeconds: null,
} as const;

async function rangeRequests(
  language: Language,
  query: Partial<RangeQuery>,
  answers: readonly string[] = [],
): Promise<readonly StubRequest[]> {
  let asked = 0;
  await using server = serveStub(() => new Response(answers[asked++] ?? empty[language]));
  const source = createSource[language](influxOptions({ url: server.url, clock }));
  const { signal } = new AbortController();
  await source.readRange({ ...range, deviceIds: ["dev-1"], signal, ...query });
  return server.requests;
}

Deno.test("A range in InfluxQL has its bounds to the nanosecond, its order and one row more than is wanted", async () => {
  const [request] = await rangeRequests("influxql", { deviceIds: ["' OR 1 = 1"], maxSamples: 50 });
  const form = new URLSearchParams(request?.body);
  assert.equal(
    form.get("q"),
    `SELECT *::field FROM "telemetry" WHERE ("device_id"::tag = $d0)` +
      ` AND time > '2026-11-18T11:00:00.123456789Z' AND time <= '2026-11-18T11:30:00.999999999Z'` +
      ` GROUP BY "device_id" ORDER BY time ASC LIMIT 51`,
  );
  assert.deepEqual(JSON.parse(form.get("params") ?? ""), { d0: "' OR 1 = 1" });
});

Deno.test("A window in InfluxQL selects each metric by its type, with names that can't break out", async () => {
  const keys = [["a", "float"], ['b"\\c', "string"], ["seq", "integer"], ["iox::x", "float"]];
  const answer = JSON.stringify({
    results: [{ series: [{ columns: ["fieldKey", "fieldType"], values: keys }] }],
  });
  const query = { resolutionSeconds: 60, order: "descending" } as const;
  const [types, request] = await rangeRequests("influxql", query, [answer]);
  assert.equal(new URLSearchParams(types?.body).get("q"), `SHOW FIELD KEYS FROM "telemetry"`);
  const text = new URLSearchParams(request?.body).get("q") ?? "";
  assert.ok(
    text.startsWith(
      `SELECT last("b\\"\\\\c"::string) AS "f0",` +
        ` mean("a"::float) + 0 * mean("a"::float) AS "f1" FROM "telemetry" `,
    ),
    text,
  );
  assert.ok(
    text.endsWith(`GROUP BY time(60s), "device_id" fill(none) ORDER BY time DESC LIMIT 11`),
    text,
  );
});

Deno.test("Field keys that are none are no answer, and none at all ask for nothing more", async () => {
  const answers = [
    '{"results":[{"series":[{"values":[["a"]]}]}]}',
    '{"results":[{"series":[{"values":[["a","float) FROM x --"]]}]}]}',
    '{"results":[{"series":[{"values":[null]}]}]}',
    '{"results":[{"series":[null]}]}',
    '{"results":[{"series":[{"values":"a"}]}]}',
  ];
  for (const answer of answers) {
    await assert.rejects(
      rangeRequests("influxql", { resolutionSeconds: 60 }, [answer]),
      (error: unknown) => error instanceof SourceError && error.kind === "unavailable",
      answer,
    );
  }
  assert.equal((await rangeRequests("influxql", { resolutionSeconds: 60 })).length, 1);
});

for (const [language, maxDevices] of [["influxql", 1_000], ["flux", 200]] as const) {
  Deno.test(`A range in ${language} is one query for few devices, as few as it takes for many, and none for no time`, async () => {
    const deviceIds = Array.from({ length: 2 * maxDevices + 1 }, (_, n) => `dev-${n}`);
    const few = { deviceIds: deviceIds.slice(0, maxDevices) };
    assert.equal((await rangeRequests(language, few)).length, 1);
    assert.equal((await rangeRequests(language, { deviceIds })).length, 3);
    assert.equal((await rangeRequests(language, { until: range.after })).length, 0);
  });
}

Deno.test("What is skipped of a range is left out by the database, after all series of a device are one", async () => {
  const [influxql] = await rangeRequests("influxql", { skipSamples: 7, maxSamples: 50 });
  const text = new URLSearchParams(influxql?.body).get("q") ?? "";
  assert.ok(text.endsWith(` GROUP BY "device_id" ORDER BY time ASC LIMIT 51 OFFSET 7`), text);
  const [ascending] = await rangeRequests("flux", { skipSamples: 7 });
  assert.match(fluxOf(ascending), /\|> limit\(n: 18\) \|> keep.* \|> limit\(n: 11, offset: 7\)$/);
  const [descending] = await rangeRequests("flux", { skipSamples: 7, order: "descending" });
  assert.match(fluxOf(descending), /\|> tail\(n: 18\) \|> keep.* \|> limit\(n: 11, offset: 7\)$/);
});

Deno.test("A range in Flux cuts each series before it is put together, from the side that is asked for", async () => {
  const [ascending] = await rangeRequests("flux", {});
  assert.match(
    fluxOf(ascending),
    /\|> limit\(n: 11\) \|> keep\(.*sort\(columns: \["_time"\], desc: false\) \|> limit\(n: 11\)$/,
  );
  const [descending] = await rangeRequests("flux", { order: "descending" });
  assert.match(
    fluxOf(descending),
    /\|> tail\(n: 11\) \|> keep\(.*desc: true\) \|> limit\(n: 11\)$/,
  );
  const bounds =
    "range(start: 2026-11-18T11:00:00.123456790Z, stop: 2026-11-18T11:30:01.000000000Z)";
  assert.ok(fluxOf(ascending).includes(bounds));
});
