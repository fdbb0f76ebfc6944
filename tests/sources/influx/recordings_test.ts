// Answers that a real InfluxDB 2.7.12 once gave, replayed; what they hold was written as tests/recordings/README.md says.
import assert from "node:assert/strict";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { LatestResult } from "../../../src/sources/telemetry_source.ts";
import { createSource, influxOptions, type Language } from "./influx_fixtures.ts";
import { serveStub } from "./stub_server.ts";

interface Recording {
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
}

async function replay(
  language: Language,
  name: string,
  deviceIds: readonly string[],
): Promise<LatestResult> {
  const file = new URL(`../../recordings/${language}-${name}.json`, import.meta.url);
  const { response }: Recording = JSON.parse(await Deno.readTextFile(file));
  const { status, headers } = response;
  await using server = serveStub(() => new Response(response.body, { status, headers }));
  const source = createSource[language](influxOptions({ url: server.url, org: "pulse" }));
  return await source.readLatest({
    tenantId: "acme",
    deviceIds,
    signal: new AbortController().signal,
  });
}

function plain({ samples, unreadable }: LatestResult): Record<string, unknown> {
  assert.equal(unreadable.size, 0);
  return Object.fromEntries(
    [...samples].map(([id, { timestamp, metrics }]) => [id, [timestamp, { ...metrics }]]),
  );
}

const one = {
  "dev-0001": ["2026-11-18T11:06:42.123456789Z", {
    battery_pct: 88,
    door_open: false,
    fw: "1.2.4",
    temp_c: 22,
  }],
};

for (const language of ["influxql", "flux"] as const) {
  Deno.test(`A recorded ${language} answer about one device is its newest sample without metadata`, async () => {
    assert.deepEqual(plain(await replay(language, "latest-one", ["dev-0001"])), one);
  });

  Deno.test(`A recorded ${language} answer about many devices holds each one's newest sample only`, async () => {
    const deviceIds = ["dev-0001", "dev-0002", "dev-0003", "dev-nosite", "dev-unknown"];
    assert.deepEqual(plain(await replay(language, "latest-many", deviceIds)), {
      ...one,
      "dev-0002": ["2026-11-18T11:06:45.000000000Z", { temp_c: 5.5 }],
      "dev-0003": ["2026-11-18T11:06:47.000000000Z", { temp_c: 2 }],
      "dev-nosite": ["2026-11-18T11:06:40.000000042Z", { temp_c: 3.5 }],
    });
  });

  Deno.test(`A recorded ${language} answer's devices that were not asked for are left out`, async () => {
    assert.deepEqual(plain(await replay(language, "latest-many", ["dev-0001", "dev-9"])), one);
  });

  Deno.test(`A recorded ${language} answer about nothing is empty`, async () => {
    assert.deepEqual(plain(await replay(language, "latest-none", ["dev-unknown"])), {});
  });

  Deno.test(`Awkward names and values of a recorded ${language} answer are exact`, async () => {
    const odd = `it's "odd",x`;
    assert.deepEqual(plain(await replay(language, "latest-awkward", [odd, "dev-big"])), {
      [odd]: ["2026-11-18T11:06:40.000000000Z", {
        note: 'line one\nline "two", comma',
        æther: 1.5,
      }],
      "dev-big": ["2026-11-18T11:06:40.000000000Z", {
        huge: 1.7976931348623157e308,
        tiny: 5e-324,
        total: "9223372036854775807",
        unsigned: "18446744073709551615",
      }],
    });
  });
}

const errors = [
  ["influxql", "bad-token", "denied"],
  ["influxql", "no-database", "missing"],
  ["influxql", "syntax", "rejected"],
  ["flux", "bad-token", "denied"],
  ["flux", "no-bucket", "missing"],
  ["flux", "syntax", "rejected"],
  ["flux", "too-deep", "rejected"],
] as const;

for (const [language, name, kind] of errors) {
  Deno.test(`The recorded ${language} error ${name} is ${kind}`, async () => {
    await assert.rejects(
      replay(language, name, ["dev-0001"]),
      (error: unknown) => error instanceof SourceError && error.kind === kind,
    );
  });
}
