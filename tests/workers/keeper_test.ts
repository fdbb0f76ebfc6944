// The keeper's care for its workers, without databases: who stops answering, who can't begin, who is asked to go.
import assert from "node:assert/strict";
import { workersRefusal } from "../../src/serve_workers.ts";
import { PrometheusText } from "../observe/prometheus_text.ts";
import { ServiceProcess } from "../service/service_process.ts";
import { TestClient } from "../support/client.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { startWorkers } from "./worker_service.ts";

const NO_DATABASES = {
  DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
  INFLUXDB_URL: "http://127.0.0.1:1",
};
const SETTINGS = {
  ...NO_DATABASES,
  JWT_SECRET: TEST_SECRET,
  PORT: "0",
  WORKERS: "2",
  DRAIN_SECONDS: "2",
  MAX_CONNECTIONS_PER_USER: "1000",
};

async function socketOf(service: ServiceProcess): Promise<TestClient> {
  return await TestClient.connect(
    `ws://127.0.0.1:${await service.port()}/api/v2/ws?token=${await signToken()}`,
  );
}

Deno.test("While a worker is stuck the whole service is not alive, and it is again when the worker comes back", async () => {
  await using service = await startWorkers({ settings: NO_DATABASES }, {}, {
    entry: new URL("./freezing_worker.ts", import.meta.url),
    stuckMs: 1_500,
  });
  const livez = async () => {
    // Whom the frozen worker would have to answer comes again, and may get another.
    const signal = AbortSignal.timeout(1_000);
    try {
      const response = await fetch(`${service.origin}/livez`, { signal });
      return `${response.status} ${await response.text()}`;
    } catch {
      return "no answer";
    }
  };
  await until(async () => (await livez()) === "200 ok\n");
  const [frozen] = service.serving.keeper.threads;
  assert(frozen !== undefined);
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-freeze-" });
  try {
    const answer = frozen.usageOf(`freeze until ${folder}/thaw`);
    await until(async () => (await livez()) === "503 stuck\n");
    assert.deepEqual(
      service.log.of("worker_stuck").map(({ fields }) => fields.worker),
      [frozen.number],
    );
    // Who asks another worker how the stream is gets an answer all the same.
    let isSaid = false;
    const usage = service.serving.keeper.usageOf("acme").finally(() => isSaid = true);
    await until(() => isSaid, { what: "what the other worker has" });
    assert.deepEqual((await usage).connections, { websocket: 0, events: 0 });
    await Deno.writeTextFile(`${folder}/thaw`, "");
    assert.equal((await answer).connections.websocket, 0);
    await until(async () => (await livez()) === "200 ok\n");
    assert.equal(service.log.of("worker_answers").length, 1);
    assert.equal(service.log.of("worker_ended").length, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("What a worker has counted that ends during a scrape is counted once", async () => {
  await using service = await startWorkers({ settings: NO_DATABASES }, {}, {
    entry: new URL("./freezing_worker.ts", import.meta.url),
  });
  const { keeper } = service.serving;
  const [frozen, doomed] = keeper.threads;
  assert(frozen !== undefined && doomed !== undefined);
  const countOf = (text: string) =>
    new PrometheusText(text).value("pulsewire_handshakes_total", { outcome: "admitted" });
  const clients: TestClient[] = [];
  while ((await doomed.usageOf("acme")).connections.websocket === 0) {
    clients.push(await service.connect());
  }
  assert.equal(countOf(await keeper.text()), clients.length);
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-freeze-" });
  try {
    const answer = frozen.usageOf(`freeze until ${folder}/thaw`);
    const scrape = keeper.text();
    await doomed.metrics();
    await doomed.terminate();
    const during = countOf(await scrape);
    await Deno.writeTextFile(`${folder}/thaw`, "");
    await answer;
    assert.equal(during, clients.length);
    assert.equal(countOf(await keeper.text()), clients.length);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("SIGTERM lets the clients of all workers go with 1012, and the process ends with 0", async () => {
  await using service = await ServiceProcess.start(SETTINGS);
  const clients: TestClient[] = [];
  const workersOf = (event: string) =>
    new Set(
      service.records.filter(({ message }) => message === event).map(({ worker }) => worker),
    );
  while (workersOf("connected").size < 2) clients.push(await socketOf(service));
  service.signal("SIGTERM");
  const ends = await Promise.all(clients.map(({ closed }) => closed));
  assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1012]));
  assert.equal((await service.status).code, 0);
  // Each line is whole, and says which worker wrote it where one did.
  const lines = service.said.split("\n").filter((line) => line !== "");
  for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), line);
  assert.deepEqual(workersOf("connected"), new Set([1, 2]));
  const count = (event: string) =>
    service.records.filter(({ message }) => message === event).length;
  assert.equal(count("connected"), clients.length);
  assert.equal(count("disconnected"), clients.length);
  assert.equal(count("left"), 1);
});

Deno.test("A worker that is being started again when the service leaves lets nobody in", async () => {
  await using service = await startWorkers({ settings: NO_DATABASES }, {
    DRAIN_SECONDS: "4",
    MAX_CONNECTIONS_PER_USER: "1000",
  });
  const { keeper } = service.serving;
  const [doomed] = keeper.threads;
  const clients = [await service.connect()];
  const isSpread = async () => {
    const usages = await Promise.all(keeper.threads.map((thread) => thread.usageOf("acme")));
    // So many that their leave takes longer than the start of a worker.
    return usages.every(({ connections }) => connections.websocket >= 10);
  };
  while (!await isSpread()) clients.push(await service.connect());
  await doomed?.terminate();
  await until(() => keeper.threads.length === 2, { what: "another in its place" });
  let isLeft = false;
  const left = service.serving.leave().then(() => isLeft = true);
  let letIn = 0;
  while (!isLeft) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const late = await service.connect().catch(() => null);
    if (late === null) continue;
    late.send({ action: "ping" });
    const pong = late.next(({ type }) => type === "pong").then(() => letIn++, () => {});
    await Promise.race([pong, late.closed]);
  }
  await left;
  await Promise.all(clients.map((client) => client.closed));
  assert.equal(letIn, 0);
  assert.deepEqual(service.log.of("worker_restarted"), []);
});

Deno.test("When the process is killed no worker stays behind", async () => {
  await using service = await ServiceProcess.start(SETTINGS);
  const client = await socketOf(service);
  const port = await service.port();
  service.signal("SIGKILL");
  await service.status;
  await client.closed;
  await until(async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return false;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionRefused) return true;
      throw error;
    }
  }, { what: "nobody listens" });
});

Deno.test("A port that somebody has is refused, though workers could share it", async () => {
  await using first = await ServiceProcess.start(SETTINGS);
  const port = await first.port();
  await using second = await ServiceProcess.start({ ...SETTINGS, PORT: String(port) });
  assert.notEqual((await second.status).code, 0);
  assert.match(second.said, new RegExp(`Cannot listen on 127.0.0.1 port ${port}: it is in use`));
  const response = await fetch(`http://127.0.0.1:${port}/livez`);
  assert.equal(await response.text(), "ok\n");
});

Deno.test("METRICS_PORT is served once for all workers", async () => {
  await using service = await ServiceProcess.start({ ...SETTINGS, METRICS_PORT: "0" });
  const { address } = await service.logged("metrics_listening");
  const clients = await Promise.all(Array.from({ length: 6 }, () => socketOf(service)));
  const text = async () => await (await fetch(`${address}/metrics`)).text();
  await until(async () =>
    (await text()).includes('pulsewire_connections{transport="websocket"} 6')
  );
  const own = await fetch(`http://127.0.0.1:${await service.port()}/metrics`);
  assert.equal(own.status, 404);
  await own.body?.cancel();
  await Promise.all(clients.map((client) => client.close()));
});

Deno.test("Workers are refused, in words, where they can't share a port or load their modules", async () => {
  assert.equal(workersRefusal({ os: "linux", standalone: false }), null);
  assert.match(workersRefusal({ os: "darwin", standalone: false }) ?? "", /must be 1 on darwin/);
  assert.match(workersRefusal({ os: "linux", standalone: true }) ?? "", /1 in an executable/);
  await using service = await ServiceProcess.start({ ...SETTINGS, WS_ENGINE: "deno" });
  assert.notEqual((await service.status).code, 0);
  assert.match(service.said, /WS_ENGINE must be ws where WORKERS is more than 1/);
});
