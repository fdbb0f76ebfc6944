// What comes out of the sources when InfluxDB, or what stands in its place, fails; nothing may be read as data then.
import assert from "node:assert/strict";
import { SourceError, type SourceErrorKind } from "../../../src/sources/source_error.ts";
import type { LatestResult } from "../../../src/sources/telemetry_source.ts";
import { createSource, influxOptions, type Language } from "./influx_fixtures.ts";
import { serveBytes, serveStub } from "./stub_server.ts";

const token = "s3cret-t0ken";

function read(
  language: Language,
  url: string,
  signal = new AbortController().signal,
): Promise<LatestResult> {
  const source = createSource[language](
    influxOptions({ url, org: "pulse", auth: { kind: "token", token } }),
  );
  return source.readLatest({ tenantId: "acme", deviceIds: ["dev-1", "dev-2"], signal });
}

function isFault(kind: SourceErrorKind, message?: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SourceError, String(error));
    assert.equal(error.kind, kind, error.message);
    assert.match(error.message, message ?? /^Cannot read telemetry: /);
    assert.ok(
      !error.message.includes(token) && !error.message.includes("127.0.0.1"),
      error.message,
    );
    return true;
  };
}

async function rejectsAnswer(
  language: Language,
  answer: () => Response,
  kind: SourceErrorKind,
): Promise<void> {
  await using server = serveStub(answer);
  await assert.rejects(read(language, server.url), isFault(kind));
  assert.equal(server.requests.length, 1);
}

const table =
  "#datatype,string,long,dateTime:RFC3339,string,double\r\n#group,false,false,false,true,false\r\n" +
  "#default,_result,,,,\r\n,result,table,_time,device_id,temp_c\r\n";
const row = ",,0,2026-11-18T11:06:40Z,dev-1,22\r\n";
const failure = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n";
const series = {
  tags: { device_id: "dev-1" },
  columns: ["time", "temp_c"],
  values: [["2026-11-18T11:06:40Z", 22]],
};
const whole: Readonly<Record<Language, string>> = {
  flux: `${table}${row}\r\n`,
  influxql: JSON.stringify({ results: [{ series: [series] }] }),
};

function influxql(result: unknown): string {
  return JSON.stringify({ results: [result] });
}

const garbage: Readonly<Record<Language, readonly string[]>> = {
  influxql: [
    "",
    "<html>Welcome</html>",
    '{"results":[{"series":[{"na',
    "null",
    "[]",
    "{}",
    "22",
    '{"results":{}}',
    '{"results":[null]}',
    influxql({ series: {} }),
    influxql({ series: [null] }),
    influxql({ series: [{ ...series, tags: undefined }] }),
    influxql({ series: [{ ...series, tags: { device_id: 1 } }] }),
    influxql({ series: [{ ...series, columns: null }] }),
    influxql({ series: [{ ...series, columns: ["time"] }] }),
    influxql({ series: [{ ...series, values: [[null, 22]] }] }),
    influxql({ series: [{ ...series, values: [22] }] }),
    '{"results":[{"series":[{"tags":{"device_id":"dev-1"},"columns":["time","x"],"values":[["2026-11-18T11:06:40Z",NaN]]}]}]}',
  ],
  flux: [
    "",
    "<html>Welcome</html>",
    "<html>\n<p>Welcome</p>\n</html>\n\n",
    '{"results":[]}',
    table,
    `${table}${row}`,
    `${table}${row.slice(0, 20)}`,
    `${table},,0,2026-11-18T11:06:40Z,dev-1\r\n\r\n`,
    `${table.replace("_time", "when")}${row}\r\n`,
    `${table.replace("device_id", "other")}${row}\r\n`,
    `${table},,0,2026-11-18T11:06:40Z,"dev-1,22\r\n\r\n`,
  ],
};

for (const language of ["influxql", "flux"] as const) {
  Deno.test(`${language}: the answer that the faults below are made of is good`, async () => {
    await using server = serveStub(() => new Response(whole[language]));
    const { samples } = await read(language, server.url);
    assert.deepEqual([...samples], [["dev-1", {
      timestamp: "2026-11-18T11:06:40.000000000Z",
      metrics: { temp_c: 22 },
    }]]);
  });

  Deno.test(`${language}: each status has its kind, and no message repeats credentials that an answer echoes`, async () => {
    const echo = `Token ${token} from 127.0.0.1`;
    const unauthorized =
      `error authorizing query: ${token} not authorized to execute statement 'SELECT x\nFROM y'`;
    const longest = unauthorized.replace("x", "<&>".repeat(300_000));
    const kinds: readonly (readonly [number, SourceErrorKind, string])[] = [
      [400, "rejected", JSON.stringify({ message: "compilation failed" })],
      [400, "denied", JSON.stringify({ message: 'organization name "pulse" not found' })],
      [401, "denied", JSON.stringify({ message: echo })],
      [403, "denied", JSON.stringify({ error: echo })],
      [403, "missing", JSON.stringify({ error: `${unauthorized}, requires READ on telemetry_a` })],
      [403, "missing", JSON.stringify({ error: `${longest}, requires READ on telemetry_a` })],
      [403, "denied", JSON.stringify({ error: `${unauthorized}, requires admin privilege` })],
      [401, "denied", JSON.stringify({ error: `${unauthorized}, requires READ on telemetry_a` })],
      [404, "missing", JSON.stringify({ message: 'could not find bucket "telemetry_acme"' })],
      [404, "unavailable", "404 page not found"],
      [400, "unavailable", "<html>The plain HTTP request was sent to HTTPS port</html>"],
      [400, "rejected", "no sentence of anybody's"],
      [405, "unavailable", ""],
      [413, "rejected", "Request Entity Too Large"],
      [413, "rejected", "<html>Request Entity Too Large</html>"],
      [429, "unavailable", JSON.stringify({ message: echo })],
      [500, "unavailable", JSON.stringify({ message: echo })],
      [502, "unavailable", `<html>${echo}</html>`],
      [503, "unavailable", ""],
      [304, "unavailable", ""],
    ];
    for (const [status, kind, body] of kinds) {
      await rejectsAnswer(
        language,
        () => new Response(status === 304 ? null : body, { status }),
        kind,
      );
    }
  });

  Deno.test(`${language}: an answer that is not InfluxDB's is unavailable, never an empty one`, async () => {
    for (const body of garbage[language]) {
      await rejectsAnswer(language, () => new Response(body), "unavailable").catch((error) => {
        throw new Error(`Cannot refuse ${JSON.stringify(body)}`, { cause: error });
      });
    }
    const bytes = crypto.getRandomValues(new Uint8Array(4_096));
    await rejectsAnswer(language, () => new Response(bytes), "unavailable");
  });

  Deno.test(`${language}: an answer cut off, promised longer or not HTTP at all is unavailable`, async () => {
    const body = whole[language];
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
    const answers = [
      `${head}Content-Length: ${body.length + 10}\r\n\r\n${body}`,
      `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}`,
      `${head}Connection: close\r\n\r\n${body.slice(0, -3)}`,
      head,
      "ERR unknown command\r\n",
      "",
    ];
    for (const answer of answers) {
      await using server = serveBytes(answer);
      await assert.rejects(
        read(language, server.url),
        isFault("unavailable"),
        JSON.stringify(answer),
      );
    }
  });

  Deno.test(`${language}: a redirect is followed nowhere, and named for what it is`, async () => {
    await using target = serveStub(() => new Response(whole[language]));
    for (const status of [301, 302, 303, 307, 308]) {
      await using server = serveStub(({ path }) =>
        new Response("<html>Moved</html>", { status, headers: { location: target.url + path } })
      );
      const isNamed = isFault("unavailable", new RegExp(`status is ${status}$`));
      await assert.rejects(read(language, server.url), isNamed);
      const source = createSource[language](influxOptions({ url: server.url }));
      await assert.rejects(source.check(new AbortController().signal), isNamed);
    }
    assert.equal(target.requests.length, 0);
  });

  Deno.test(`${language}: an answer that is too long is the fault of its query`, async () => {
    const body = whole[language];
    await using server = serveStub(({ body: asked }) =>
      new Response(asked.includes("dev-2") ? `${body} ` : body)
    );
    const source = createSource[language](
      influxOptions({ url: server.url, maxAnswerBytes: body.length }),
    );
    const { signal } = new AbortController();
    const one = await source.readLatest({ tenantId: "acme", deviceIds: ["dev-1"], signal });
    assert.equal(one.samples.size, 1);
    await assert.rejects(
      source.readLatest({ tenantId: "acme", deviceIds: ["dev-1", "dev-2"], signal }),
      isFault("rejected", /answer is longer than \d+ bytes$/),
    );
  });

  Deno.test(`${language}: a refusal that repeats a long query does not fill the log with it`, async () => {
    for (const body of [JSON.stringify({ message: "x".repeat(90_000) }), "x".repeat(90_000)]) {
      await using server = serveStub(() =>
        new Response(body, { status: 400, headers: { "content-type": "application/json" } })
      );
      const fault = await read(language, server.url).catch((error) => error);
      assert.ok(isFault("rejected")(fault));
      assert.match(fault.cause.message, /x{900}/);
      assert.ok(fault.cause.message.length < 1_100);
    }
  });

  Deno.test(`${language}: of a failure that has no end only its beginning is read`, async () => {
    const left = Promise.withResolvers<void>();
    await using server = serveStub(() =>
      new Response(
        new ReadableStream({
          pull: (stream) => stream.enqueue(new Uint8Array(16_384).fill(0x20)),
          cancel: () => left.resolve(),
        }),
        { status: 500 },
      )
    );
    await assert.rejects(read(language, server.url), isFault("unavailable", /status is 500$/));
    await left.promise;
  });

  Deno.test(`${language}: a refused connection is unavailable and keeps its cause`, async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const url = `http://127.0.0.1:${listener.addr.port}`;
    listener.close();
    await assert.rejects(
      read(language, url),
      (error: unknown) =>
        isFault("unavailable")(error) && (error as Error).cause instanceof TypeError,
    );
  });

  Deno.test(`${language}: the signal ends a read that hangs before, in the middle of and at the end of an answer`, async () => {
    const body = whole[language];
    for (const sent of [null, "", body.slice(0, body.length / 2), body]) {
      for (const status of [200, 500]) {
        const asked = Promise.withResolvers<void>();
        const left = Promise.withResolvers<void>();
        await using server = serveStub(async () => {
          asked.resolve();
          if (sent === null) await left.promise;
          return new Response(
            new ReadableStream({
              start: (stream) => stream.enqueue(new TextEncoder().encode(sent ?? "")),
              cancel: () => left.resolve(),
            }),
            { status },
          );
        });
        const controller = new AbortController();
        const reason = new Error("Enough");
        const pending = read(language, server.url, controller.signal);
        await asked.promise;
        const timer = setTimeout(() => controller.abort(reason), 20);
        await assert.rejects(pending, (error: unknown) => error === reason);
        clearTimeout(timer);
        // The server sees that nobody reads any more: the connection is not kept for a later read.
        if (sent === null) left.resolve();
        await left.promise;
      }
    }
  });

  Deno.test(`${language}: a device whose instant can't be read does not harm the others`, async () => {
    const body = whole[language];
    const second = language === "flux"
      ? `${table}${row}${row.replace("2026-11-18T11:06:40Z,dev-1", "yesterday,dev-2")}\r\n`
      : influxql({
        series: [series, { ...series, tags: { device_id: "dev-2" }, values: [["yesterday", 22]] }],
      });
    assert.notEqual(second, body);
    await using server = serveStub(() => new Response(second));
    const { samples, unreadable } = await read(language, server.url);
    assert.deepEqual([...samples.keys()], ["dev-1"]);
    assert.deepEqual([...unreadable.keys()], ["dev-2"]);
    assert.match(unreadable.get("dev-2") ?? "", /"yesterday"/);
  });
}

Deno.test("A Flux error after rows have come is rejected with its reason, and so is one before any", async () => {
  const error = `${failure},"runtime error: ""odd"",\r\nno memory",897\r\n`;
  for (const body of [`${table}${row}\r\n${error}`, error, `${table}${row}\r\n${error}\r\n`]) {
    await using server = serveStub(() => new Response(body));
    await assert.rejects(
      read("flux", server.url),
      isFault("rejected", /runtime error: "odd",\s+no memory$/),
    );
  }
});

Deno.test("A Flux error that gives no reason is rejected all the same", async () => {
  await rejectsAnswer("flux", () => new Response(`${failure},,\r\n`), "rejected");
});

Deno.test("NaN and the infinities of a Flux answer are no values", async () => {
  const rows = ["NaN", "+Inf", "-Inf"].map((value, second) =>
    `,,0,2026-11-18T11:06:4${second}Z,dev-1,${value}\r\n`
  );
  for (const one of rows) {
    await using server = serveStub(() => new Response(`${table}${one}\r\n`));
    const { samples } = await read("flux", server.url);
    assert.deepEqual({ ...samples.get("dev-1")?.metrics }, {});
  }
});

Deno.test("An error inside of an InfluxQL answer has the kind that InfluxDB's sentence means", async () => {
  const kinds: readonly (readonly [string, SourceErrorKind])[] = [
    ["database not found: telemetry_acme", "missing"],
    ["retention policy not found: autogen", "missing"],
    ["error authorizing query: ann not authorized to execute statement", "denied"],
    ["error authorizing query: ann not authorized, requires READ on telemetry_acme", "missing"],
    ["max-select-series limit exceeded: (10/1)", "rejected"],
    ["max-concurrent-queries limit exceeded(20, 20)", "unavailable"],
    ["query-timeout limit exceeded", "unavailable"],
    ["query interrupted", "unavailable"],
    ["engine is closed", "unavailable"],
    ["[shard 12] shard is disabled", "unavailable"],
    ["shard is being deleted", "unavailable"],
    [
      "open /data/telemetry_acme/autogen/7/000000003-000000002.tsm: too many open files",
      "unavailable",
    ],
    [
      "[shard 12] write /wal/telemetry_acme/autogen/12/_00001.wal: no space left on device",
      "unavailable",
    ],
    ["read /data/telemetry_acme/autogen/7/index: input/output error", "unavailable"],
    ["mmap /data/telemetry_acme/autogen/7/index: cannot allocate memory", "unavailable"],
    ["too many open files: ask for fewer devices", "rejected"],
    ["anything else: database not found", "rejected"],
  ];
  for (const [error, kind] of kinds) {
    await rejectsAnswer("influxql", () => new Response(influxql({ error })), kind);
    await rejectsAnswer("influxql", () => new Response(JSON.stringify({ error })), kind);
  }
});

Deno.test("An InfluxQL answer that the server cut off at its row limit is rejected, not shown as whole", async () => {
  await rejectsAnswer(
    "influxql",
    () => new Response(influxql({ series: [series], partial: true })),
    "rejected",
  );
  await rejectsAnswer(
    "influxql",
    () => new Response(influxql({ series: [{ ...series, partial: true }] })),
    "rejected",
  );
});
