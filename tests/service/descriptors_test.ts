// A process that may open few files: it says so at start, and lives when strangers want more than there are.
import assert from "node:assert/strict";
import { RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { TestClient } from "../support/client.ts";
import { openDescriptors } from "../support/process_usage.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";
import { ServiceProcess } from "./service_process.ts";

const SETTINGS = {
  DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
  INFLUXDB_URL: "http://127.0.0.1:1",
  JWT_SECRET: TEST_SECRET,
  PORT: "0",
  MAX_CONNECTIONS: "100",
  DRAIN_SECONDS: "1",
};
const MAY_ASK = "--allow-run=getconf";

async function firstOf(service: ServiceProcess) {
  await service.logged("listening");
  return service.records.filter(({ message }) => message.startsWith("descriptors_"));
}

Deno.test("Limits that need more descriptors than there are are named at start", async () => {
  await using service = await ServiceProcess.start(SETTINGS, { openFiles: 256 });
  const [record, ...more] = await firstOf(service);
  assert.equal(record?.message, "descriptors_too_few");
  assert.equal(record.level, "WARN");
  assert.deepEqual([record.limit, record.needed, record.clients], [256, 346, 87]);
  assert.match(String(record.cure), /MAX_CONNECTIONS/);
  assert.deepEqual(more, []);
});

Deno.test("Limits that fit are nothing to speak of", async () => {
  await using service = await ServiceProcess.start(SETTINGS, { openFiles: 346 });
  assert.deepEqual(await firstOf(service), []);
});

for (const WORKERS of ["1", "2"]) {
  Deno.test(`With too few descriptors fewer clients are let in, and who asks or is refused then is answered (workers: ${WORKERS})`, async () => {
    const settings = { ...SETTINGS, WORKERS };
    await using service = await ServiceProcess.start(settings, { openFiles: 256 });
    const { clients: most } = await service.logged("descriptors_too_few");
    assert(typeof most === "number" && most < 100, String(most));
    const port = await service.port();
    const token = await signToken();
    const path = `/api/v2/ws?token=${token}`;
    await using clients = new AsyncDisposableStack();
    for (let nth = 0; nth < most; nth++) {
      clients.use(await TestClient.connect(`ws://127.0.0.1:${port}${path}`));
    }
    for (let nth = 0; nth < 3; nth++) {
      using refused = await RawPeer.request(port, upgradeRequest(path));
      assert.equal(refused.status, 503);
    }
    const events = await fetch(
      `http://127.0.0.1:${port}/api/v2/events?token=${token}&device_id=dev-1`,
    );
    const { detail } = await events.json();
    assert.deepEqual([events.status, detail], [503, `More than ${most} connections`]);
    for (const [route, status] of [["livez", 200], ["readyz", 503], ["metrics", 200]] as const) {
      const response = await fetch(`http://127.0.0.1:${port}/${route}`);
      assert.equal(response.status, status, route);
      const text = await response.text();
      if (route !== "metrics") continue;
      assert.match(text, /^pulsewire_limit_crossings_total\{limit="connections"\} 4$/m);
    }
    assert.deepEqual(service.records.filter(({ message }) => message === "listener_failed"), []);
  });
}

Deno.test("Who may not ask for the limit of descriptors says how many are needed, and starts", async () => {
  await using service = await ServiceProcess.start(SETTINGS, { openFiles: 256, without: MAY_ASK });
  const [record] = await firstOf(service);
  assert.deepEqual([record?.message, record?.needed], ["descriptors_unknown", 346]);
});

Deno.test("Header-less connections, more than there are descriptors, end neither the process nor its sockets", async () => {
  await using service = await ServiceProcess.start({
    ...SETTINGS,
    HANDSHAKE_TIMEOUT_SECONDS: "2",
  }, { openFiles: 256 });
  const port = await service.port();
  const origin = `http://127.0.0.1:${port}`;
  const url = `ws://127.0.0.1:${port}/api/v2/ws?token=${await signToken()}`;
  await using client = await TestClient.connect(url);
  await client.subscribe("dev-1");
  const before = await openDescriptors(service.pid);
  const strangers = await Promise.all(Array.from({ length: 400 }, () => RawPeer.silent(port)));
  await pause(300);
  assert(await openDescriptors(service.pid) < 240);
  assert.equal((await client.ask({ action: "ping" })).type, "pong");
  // Their time for headers over, there is room again, while all of them still hold on.
  await until(async () => await openDescriptors(service.pid) <= before + 3, {
    what: "The return of the strangers' descriptors",
  });
  const response = await fetch(`${origin}/livez`);
  assert.equal(await response.text(), "ok\n");
  await using other = await TestClient.connect(url);
  assert.equal((await other.ask({ action: "ping" })).type, "pong");
  assert.equal((await client.ask({ action: "ping" })).type, "pong");
  for (const stranger of strangers) stranger.vanish();
  const faults = service.records.filter(({ level, message }) =>
    level === "ERROR" && !message.startsWith("source_")
  );
  assert.deepEqual(faults, []);
  service.signal("SIGTERM");
  assert.equal((await service.status).code, 0);
});

Deno.test("A listener that ran out of descriptors hears again, and the sockets that were open go on", async () => {
  const settings = { ...SETTINGS, MAX_CONNECTIONS: "2000", HANDSHAKE_TIMEOUT_SECONDS: "2" };
  await using service = await ServiceProcess.start(settings, { openFiles: 256, without: MAY_ASK });
  const port = await service.port();
  const url = `ws://127.0.0.1:${port}/api/v2/ws?token=${await signToken()}`;
  await using client = await TestClient.connect(url);
  const strangers = await Promise.all(Array.from({ length: 400 }, () => RawPeer.silent(port)));
  await service.logged("listener_failed");
  for (const stranger of strangers) stranger.vanish();
  const answers = async () => {
    const signal = AbortSignal.timeout(5_000);
    const response = await fetch(`http://127.0.0.1:${port}/livez`, { signal }).catch(() => null);
    return await response?.text() === "ok\n";
  };
  await until(answers, { what: "An answer" });
  assert.equal((await client.ask({ action: "ping" })).type, "pong");
  service.signal("SIGTERM");
  assert.equal((await service.status).code, 0);
});
