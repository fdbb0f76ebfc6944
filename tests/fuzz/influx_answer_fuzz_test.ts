// Damaged answers of InfluxDB: a read gives samples or a SourceError, nothing else, and never a sample of a device that
// was not asked for. The answers are the recordings, served by a loopback stub.
import assert from "node:assert/strict";
import fc from "fast-check";
import { SourceError } from "../../src/sources/source_error.ts";
import type { LatestResult } from "../../src/sources/telemetry_source.ts";
import { createSource, influxOptions, type Language } from "../sources/influx/influx_fixtures.ts";
import { serveStub } from "../sources/influx/stub_server.ts";
import { joined, mutate, mutations } from "./mutation.ts";
import { holds } from "./seeded.ts";

interface Answer {
  readonly status: number;
  readonly body: Uint8Array<ArrayBuffer>;
}

const ASKED = ["dev-0001", "dev-0003", "dev-big", `it's "odd",x`];
const KINDS = ["unavailable", "denied", "missing", "rejected"];
const SPLICES: Readonly<Record<Language, readonly string[]>> = {
  flux: [
    "\r\n",
    "\r\n\r\n",
    ",",
    '"',
    "#datatype,string,long,dateTime:RFC3339,string,double\r\n",
    "#group,false,false,false,true,false\r\n",
    "#default,_result,,,,\r\n",
    ",result,table,_time,device_id,temp_c\r\n",
    ",,0,2026-11-18T11:06:42Z,dev-0001,NaN\r\n",
    ",,1,not-a-time,dev-0003,1\r\n",
    ",error,reference\r\n,query terminated: out of memory,576\r\n",
    "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,,\r\n",
    "long",
    "unsignedLong",
    "99999999999999999999",
    "\u0000",
    "\ufeff",
  ],
  influxql: [
    '{"results":[]}',
    '"error":"timeout",',
    '"partial":true,',
    '"series":[{}],',
    '"series":{},',
    '"tags":{},',
    '"tags":{"device_id":["dev-0001"]},',
    '"columns":["time"],',
    '"values":[[]],',
    '"values":[[null,1]],',
    "99999999999999999999",
    "1e999",
    '"__proto__":',
    "null",
    "[",
    "]",
    "}",
    "\n",
    "\u0000",
    "\ufeff",
  ],
};

async function recordings(language: Language): Promise<readonly Answer[]> {
  const folder = new URL("../recordings/", import.meta.url);
  const answers: Answer[] = [];
  for (const { name } of [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (!name.startsWith(`${language}-`)) continue;
    const { response } = JSON.parse(await Deno.readTextFile(new URL(name, folder)));
    answers.push({ status: response.status, body: new TextEncoder().encode(response.body) });
  }
  assert(answers.length >= 6);
  return answers;
}

function checkResult({ samples, unreadable }: LatestResult): void {
  for (const [deviceId, { timestamp, metrics }] of samples) {
    assert(ASKED.includes(deviceId), `${deviceId} was not asked for`);
    assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    for (const [name, value] of Object.entries(metrics)) {
      assert(!["time", "device_id", "site_id", "seq"].includes(name), `${name} is metadata`);
      const isValue = typeof value === "number"
        ? Number.isFinite(value)
        : ["string", "boolean"].includes(typeof value);
      assert(isValue, `${name} is ${Deno.inspect(value)}`);
    }
  }
  for (const [deviceId, reason] of unreadable) {
    assert(ASKED.includes(deviceId) && !samples.has(deviceId) && reason !== "");
  }
}

for (const language of ["flux", "influxql"] as const) {
  const statuses = [200, 200, 200, 204, 301, 400, 401, 404, 429, 500, 503] as const;

  Deno.test(`Damaged ${language} answers are samples of devices that were asked for, or a SourceError`, async () => {
    const answers = await recordings(language);
    let next: Answer = { status: 200, body: new Uint8Array() };
    await using server = serveStub(() =>
      new Response(next.status === 204 ? null : next.body, { status: next.status })
    );
    using source = createSource[language](influxOptions({ url: server.url, org: "pulse" }));
    let results = 0;
    let samples = 0;
    let refusals = 0;
    const damaged = fc.record({
      first: fc.constantFrom(...answers),
      second: fc.option(fc.constantFrom(...answers)),
      status: fc.option(fc.constantFrom(...statuses)),
      steps: fc.oneof(mutations(SPLICES[language]), fc.constant([])),
    });
    await holds(
      fc.asyncProperty(damaged, async ({ first, second, status, steps }) => {
        // A second answer behind the first is what a broken proxy makes of two.
        const body = mutate(second === null ? first.body : joined(first.body, second.body), steps);
        next = { status: status ?? first.status, body };
        try {
          const result = await source.readLatest({
            tenantId: "acme",
            deviceIds: ASKED,
            signal: AbortSignal.timeout(10_000),
          });
          checkResult(result);
          results++;
          samples += result.samples.size;
        } catch (error) {
          if (!(error instanceof SourceError)) throw error;
          assert(KINDS.includes(error.kind));
          assert(!error.message.includes(server.url), "the public message names the host");
          refusals++;
        }
      }),
      { numRuns: 500 },
    );
    assert(results > 0 && samples > 0 && refusals > 0, `${results} results, ${refusals} refusals`);
  });
}
