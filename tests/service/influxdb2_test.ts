// The whole service on the InfluxDB 2.x that the environment names, in both query languages.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { openSources } from "../../src/sources/open_sources.ts";
import { findInfluxdb2, type Influxdb2 } from "../sources/influx/influx_fixtures.ts";
import { lineProtocol } from "../sources/influx/line_protocol.ts";
import { startService } from "../support/service.ts";
import { instant } from "./databases.ts";

const server = findInfluxdb2();
const missing = " (left out: INFLUXDB2_URL, INFLUXDB2_TOKEN and INFLUXDB2_ORG are not set)";

for (const language of ["influxql", "flux"] as const) {
  Deno.test({
    name: `A client reads from a real InfluxDB 2.x in ${language}${server === null ? missing : ""}`,
    ignore: server === null,
    async fn() {
      assert(server !== null);
      const prefix = `pulsewire_service_${crypto.randomUUID().slice(0, 8)}`;
      const timestamp = instant({ nanos: 123_456_789 });
      await using bucket = await createBucket(server, `${prefix}_acme`);
      await bucket.write(lineProtocol([
        { deviceId: "dev-1", timestamp, metrics: { temp_c: 22.5, big: 9_007_199_254_740_993n } },
        { deviceId: "dev-2", timestamp, metrics: { temp_c: 1 } },
      ]));
      await using service = await startService({
        settings: {
          INFLUXDB_URL: server.url,
          INFLUXDB_TOKEN: server.token,
          INFLUXDB_ORG: server.org,
          INFLUXDB_BUCKET: `${prefix}_{tenant}`,
          INFLUXDB_QUERY: language,
          WS_POLL_SECONDS: "0.2",
        },
        sources: (config, log) => openSources(config, { clock: systemClock, log }),
      });
      await using client = await service.connect();
      await client.subscribe('") or (r.device_id == "dev-2');
      await client.subscribe("dev-1");
      const { data } = await client.next(({ type }) => type === "telemetry");
      assert.deepEqual(data, { timestamp, metrics: { temp_c: 22.5, big: "9007199254740993" } });
      await client.push("telemetry");
      const seen = client.messages.filter(({ type }) => type === "telemetry");
      assert(seen.every(({ device_id: id }) => id === "dev-1"));
    },
  });
}

async function createBucket(server: Influxdb2, name: string) {
  const call = async (method: string, path: string, body?: string): Promise<string> => {
    const headers = { authorization: `Token ${server.token}` };
    const response = await fetch(server.url + path, { method, headers, body: body ?? null });
    const answer = await response.text();
    if (!response.ok) throw new Error(`Cannot ${method} ${path}: ${response.status} ${answer}`);
    return answer;
  };
  const org = new URLSearchParams({ org: server.org });
  const { orgs } = JSON.parse(await call("GET", `/api/v2/orgs?${org}`));
  const body = JSON.stringify({ orgID: orgs[0].id, name, retentionRules: [] });
  const { id } = JSON.parse(await call("POST", "/api/v2/buckets", body));
  const target = new URLSearchParams({ org: server.org, bucket: name, precision: "ns" });
  return {
    write: (lines: string) => call("POST", `/api/v2/write?${target}`, lines),
    [Symbol.asyncDispose]: async () => void await call("DELETE", `/api/v2/buckets/${id}`),
  };
}
