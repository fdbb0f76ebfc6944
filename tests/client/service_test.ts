// The client against the real service over real sockets: what a page would do, with the network and the service failing.
import assert from "node:assert/strict";
import {
  type ClientOptions,
  type ClientState,
  type DeviceSample,
  type Gap,
  PulsewireClient,
  type PulsewireError,
} from "../../src/client/pulsewire_client.ts";
import type { Sample } from "../../src/protocol/server_messages.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import type { Message } from "../support/client.ts";
import { type FakeSources, fakeSources } from "../support/fake_sources.ts";
import { alertOf } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";

/** Short waits, and what may be late as long as the test's own service looks back. */
const timings = { baseMs: 40, minMs: 10, maxMs: 200, stableMs: 200 };

interface Live extends AsyncDisposable {
  readonly client: PulsewireClient;
  readonly sockets: readonly WebSocket[];
  readonly states: ClientState[];
  readonly errors: PulsewireError[];
  readonly gaps: Gap[];
  /** What came on any socket, and when, noted before the client reads it. */
  readonly messages: { readonly message: Message; readonly at: number }[];
  /** Ends the newest socket without the client's doing. */
  cut(): void;
}

function liveClient(port: number, options: Partial<ClientOptions> = {}): Live {
  const sockets: WebSocket[] = [];
  const client = new PulsewireClient(`ws://127.0.0.1:${port}/api/v2/ws`, {
    ...(options.ticket === undefined ? { token: () => signToken() } : {}),
    WebSocket: class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
        this.addEventListener("message", ({ data }) => {
          live.messages.push({ message: JSON.parse(data), at: Date.now() });
        });
      }
    },
    timings,
    ...options,
  });
  const live = {
    client,
    sockets,
    states: [] as ClientState[],
    errors: [] as PulsewireError[],
    gaps: [] as Gap[],
    messages: [] as Live["messages"],
    cut: () => sockets.at(-1)?.close(4999),
    async [Symbol.asyncDispose]() {
      client.close();
      await until(() => sockets.every(({ readyState }) => readyState === WebSocket.CLOSED));
    },
  };
  client.on("state", (state) => void live.states.push(state));
  client.on("error", (error) => void live.errors.push(error));
  client.on("gap", (gap) => void live.gaps.push(gap));
  return live;
}

function sampleNow(n: number): Sample {
  const ms = Date.now();
  return {
    timestamp: `${new Date(ms).toISOString().slice(0, 23)}${String(n).padStart(6, "0")}Z`,
    metrics: { n },
  };
}

/** Stores numbered samples of devices until it is stopped. */
function write(sources: FakeSources, devices: readonly string[]) {
  const stored = new Map<string, string[]>(devices.map((device) => [device, []]));
  let n = 0;
  const timer = setInterval(() => {
    for (const device of devices) {
      const sample = sampleNow(++n);
      sources.put("acme", device, sample);
      stored.get(device)?.push(sample.timestamp);
    }
  }, 10);
  return { stored, [Symbol.dispose]: () => clearInterval(timer) };
}

const numberOf = ({ metrics }: DeviceSample) => Number(metrics.n);

Deno.test("history is filled and goes on live without a seam, in the order of the instants", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  for (let n = 1; n <= 20; n++) sources.put("acme", "d", sampleNow(n));
  await using live = liveClient(service.port);
  const given: string[] = [];
  live.client.device("d", {
    mode: "every",
    historySeconds: 60,
    onCaughtUp: () => given.push("caught up"),
  }, (sample) => given.push(`${sample.origin} ${numberOf(sample)}`));
  await until(() => given.includes("caught up"));
  for (let n = 21; n <= 40; n++) sources.put("acme", "d", sampleNow(n));
  await until(() => given.length >= 41);
  assert.deepEqual(given, [
    ...Array.from({ length: 20 }, (_, index) => `history ${index + 1}`),
    "caught up",
    ...Array.from({ length: 20 }, (_, index) => `live ${index + 21}`),
  ]);
  assert.deepEqual(live.states, ["connecting", "live"]);
  assert.deepEqual([live.errors, live.gaps], [[], []]);
});

Deno.test("every stored sample is given once and in order over lost sockets and a restart of the service", async () => {
  const sources = fakeSources();
  let service = await startService({ sources });
  const { port } = service;
  const devices = ["a", "b", "c"];
  const given = new Map<string, string[]>(devices.map((device) => [device, []]));
  {
    await using live = liveClient(port);
    using writer = write(sources, devices);
    for (const device of devices) {
      live.client.device(
        device,
        { mode: "every", historySeconds: 30 },
        (sample) => given.get(device)?.push(sample.timestamp),
      );
    }
    const isFlowing = (count: number) => () =>
      devices.every((device) => (given.get(device)?.length ?? 0) > count);
    await until(isFlowing(20));
    for (let lost = 0; lost < 4; lost++) {
      const before = live.sockets.length;
      live.cut();
      await until(() => live.sockets.length > before && live.client.state === "live");
      const reached = Math.max(...devices.map((device) => given.get(device)?.length ?? 0));
      await until(isFlowing(reached + 10));
    }
    await service.stop();
    await until(() => live.client.state !== "live");
    await pause(150);
    service = await startService({ sources, settings: { PORT: String(port) } });
    await until(() => live.client.state === "live");
    const reached = Math.max(...devices.map((device) => given.get(device)?.length ?? 0));
    await until(isFlowing(reached + 10));
    writer[Symbol.dispose]();
    const isWhole = (device: string) =>
      given.get(device)?.at(-1) === writer.stored.get(device)?.at(-1);
    await until(() => devices.every(isWhole), { what: "the last samples" });
    for (const device of devices) {
      assert.deepEqual(given.get(device), writer.stored.get(device));
    }
    assert.deepEqual([live.errors, live.gaps], [[], []]);
  }
  await service.stop();
});

Deno.test("a loop that is slow has every sample, in order, with a buffer of five", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  await using live = liveClient(service.port);
  using writer = write(sources, ["d"]);
  const given: string[] = [];
  const loop = live.client.samples("d", { mode: "every", historySeconds: 30, bufferSize: 5 });
  for await (const { timestamp } of loop) {
    given.push(timestamp);
    if (given.length >= 40) writer[Symbol.dispose]();
    if (given.length < 40) await pause(5);
    if (given.length >= 40 && timestamp === writer.stored.get("d")?.at(-1)) break;
  }
  assert.deepEqual(given, writer.stored.get("d"));
});

Deno.test("listeners with other needs on one device are each given what they asked for", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  const put = (n: number) => {
    const { timestamp } = sampleNow(n);
    sources.put("acme", "d", { timestamp, metrics: { n, x: -n } });
  };
  for (let n = 1; n <= 5; n++) put(n);
  await using live = liveClient(service.port);
  const every: number[] = [];
  const latest: Record<string, unknown>[] = [];
  const chart: number[] = [];
  live.client.device("d", { mode: "every" }, (sample) => every.push(numberOf(sample)));
  live.client.device("d", { metrics: ["x"] }, ({ metrics }) => latest.push(metrics));
  await until(() => live.client.state === "live" && service.app.manager.connectionCount === 1);
  await until(async () => {
    if (every.length === 0) put(6);
    await pause(50);
    return every.length > 0 && latest.length > 0;
  });
  live.client.device("d", { historySeconds: 60 }, (sample) => chart.push(numberOf(sample)));
  await until(() => chart.length >= 6);
  for (const n of [7, 8, 9]) put(n);
  await until(() => every.at(-1) === 9 && chart.at(-1) === 9 && latest.at(-1)?.x === -9);
  assert.deepEqual(chart.slice(0, 6), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(every.filter((n) => n > 6), [7, 8, 9]);
  assert.deepEqual(
    latest.flatMap((metrics) => Object.keys(metrics)).filter((key) => key !== "x"),
    [],
  );
});

Deno.test("history in windows is as wide as it was asked for, and goes on as it is stored", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  for (let n = 1; n <= 20; n++) sources.put("acme", "d", sampleNow(n));
  await using live = liveClient(service.port);
  const given: string[] = [];
  live.client.device(
    "d",
    { historySeconds: 3_600, resolutionSeconds: 600 },
    (sample) => given.push(`${sample.origin} ${numberOf(sample)}`),
  );
  await until(() => given.length > 0);
  sources.put("acme", "d", sampleNow(21));
  await until(() => given.at(-1) === "live 21");
  // One, unless a window ended in the middle of writing.
  assert.ok(given.filter((one) => one.startsWith("history")).length <= 2, String(given));
});

Deno.test("alerts are the table's, told as they change, also what came and went while the socket was lost", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  const now = () => new Date().toISOString().replace("Z", "000Z");
  const opened = (alertId: number) => alertOf(alertId, { created_at: now() });
  const one = opened(1);
  sources.setAlerts("acme", [one]);
  await using live = liveClient(service.port);
  const open: number[][] = [];
  const seen = { opened: [] as number[], closed: [] as number[] };
  live.client.alerts((alerts, change) => {
    open.push(alerts.map(({ alert_id }) => alert_id));
    seen.opened.push(...change?.opened.map(({ alert_id }) => alert_id) ?? []);
    seen.closed.push(...change?.closed ?? []);
  });
  await until(() => open.length === 1);
  const two = opened(2);
  sources.setAlerts("acme", [two, one]);
  await until(() => seen.opened.length === 1);
  live.cut();
  const close = (alert: typeof one) => ({ ...alert, status: "CLOSED", closed_at: now() });
  sources.setAlerts("acme", [opened(4), close(opened(3)), two, close(one)]);
  await until(() => live.sockets.length === 2 && seen.opened.length === 3);
  await until(() => seen.closed.length === 2);
  await pause(300);
  assert.deepEqual(open.at(-1), [4, 2]);
  assert.deepEqual([seen.opened.toSorted(), seen.closed.toSorted()], [[2, 3, 4], [1, 3]]);
});

Deno.test("the fleet's counts come with the first read and change with it", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  sources.put("acme", "a", sampleNow(1));
  await using live = liveClient(service.port);
  const totals: (number | undefined)[] = [];
  live.client.fleet(({ devices }) => totals.push(devices?.online));
  await until(() => totals.includes(1));
  sources.put("acme", "b", sampleNow(2));
  await until(() => totals.at(-1) === 2);
});

Deno.test("every device of the tenant is followed as one", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  sources.put("acme", "a", sampleNow(1));
  await using live = liveClient(service.port);
  const seen = new Set<string>();
  live.client.device(
    "*",
    { historySeconds: 60 },
    ({ device_id, metrics }) => seen.add(`${device_id} ${metrics.n}`),
  );
  await until(() => seen.has("a 1"));
  sources.put("acme", "b", sampleNow(2));
  await until(() => seen.has("b 2"));
});

Deno.test("history of every device is whole, and said to be, though the database could not be read at first", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  for (let n = 1; n <= 3; n++) {
    for (const device of ["a", "b"]) sources.put("acme", device, sampleNow(n));
  }
  sources.historyFault = () => new SourceError("unavailable", "No answer");
  await using live = liveClient(service.port);
  const given: string[] = [];
  live.client.device("*", {
    mode: "every",
    historySeconds: 60,
    onCaughtUp: () => given.push("caught up"),
  }, (sample) => given.push(`${sample.device_id} ${numberOf(sample)}`));
  await until(() => live.gaps.length === 1);
  assert.deepEqual([live.gaps[0]?.device_id, live.gaps[0]?.reason], ["*", "source_unavailable"]);
  sources.historyFault = null;
  await until(() => given.includes("caught up"), { withinMs: 20_000 });
  sources.put("acme", "a", sampleNow(4));
  await until(() => given.includes("a 4"));
  assert.deepEqual(given.toSorted(), [
    "a 1",
    "a 2",
    "a 3",
    "a 4",
    "b 1",
    "b 2",
    "b 3",
    "caught up",
  ]);
  assert.equal(live.gaps.length, 1);
});

Deno.test("who follows every device has each sample, also when a listener leaves in the middle of a device's history", async () => {
  const sources = fakeSources();
  const { telemetry } = sources;
  let held = Promise.resolve();
  // Only what is asked of the past is slow: what ticks read has no end.
  const readRange: typeof telemetry.readRange = async (query) => {
    if (!query.until.startsWith("9999")) await held;
    return await telemetry.readRange(query);
  };
  await using service = await startService({
    sources: { ...sources, telemetry: { ...telemetry, readRange } },
  });
  sources.put("acme", "d", sampleNow(1));
  await using live = liveClient(service.port);
  const given: number[] = [];
  live.client.device("*", { mode: "every" }, (sample) => given.push(numberOf(sample)));
  await until(() => live.messages.some(({ message }) => message.type === "subscribed"));
  sources.put("acme", "d", sampleNow(2));
  await until(() => given.includes(2));
  const { promise, resolve } = Promise.withResolvers<void>();
  held = promise;
  const stop = live.client.device("d", { historySeconds: 60 }, () => {});
  await pause(200);
  sources.put("acme", "d", sampleNow(3));
  await pause(300);
  stop();
  resolve();
  await until(() => given.includes(3));
  sources.put("acme", "d", sampleNow(4));
  await until(() => given.includes(4));
  assert.deepEqual(given.filter((n) => n > 1), [2, 3, 4]);
});

Deno.test("a token is renewed on the living socket", async () => {
  await using service = await startService({ sources: fakeSources() });
  let asked = 0;
  await using live = liveClient(service.port, {
    // At once: its whole life is shorter.
    timings: { ...timings, renewMs: 7_200_000 },
    token: () => signToken({ exp: Math.floor(Date.now() / 1_000) + 3_600 + ++asked }),
  });
  live.client.connect();
  await until(() => live.messages.some(({ message }) => message.type === "authenticated"));
  assert.deepEqual([asked, live.sockets.length, live.client.state], [2, 1, "live"]);
  assert.deepEqual(live.errors, []);
});

Deno.test("a refused token is not shown again, and another one is let in", async () => {
  await using service = await startService({ sources: fakeSources() });
  const expired = await signToken({ exp: Math.floor(Date.now() / 1_000) - 3_600 });
  let token = expired;
  let asked = 0;
  await using live = liveClient(service.port, { token: () => (asked++, token) });
  live.client.connect();
  await until(() => live.client.state === "unauthorized" && asked >= 4);
  assert.equal(live.sockets.length, 1);
  assert.equal(live.client.details.reason, "Token was refused");
  token = await signToken();
  await until(() => live.client.state === "live");
  assert.equal(live.sockets.length, 2);
});

Deno.test("who is not allowed does not come back", async () => {
  await using service = await startService({ sources: fakeSources() });
  await using live = liveClient(service.port, { token: () => signToken({ role: "nobody" }) });
  await assert.rejects(live.client.samples("d").next(), { code: "unauthorized" });
  await pause(400);
  assert.equal(live.sockets.length, 1);
  assert.deepEqual([live.client.state, live.client.details.closeCode], ["unauthorized", 4003]);
});

Deno.test("a ticket lets in without a token on the socket, and each connect gets another", async () => {
  await using service = await startService({ sources: fakeSources() });
  const token = await signToken();
  await using live = liveClient(service.port, {
    ticket: async ({ signal }) => {
      const answer = await fetch(`${service.origin}/api/v2/ws-ticket`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}` },
        signal,
      });
      return (await answer.json()).ticket;
    },
  });
  live.client.connect();
  await until(() => live.client.state === "live");
  live.cut();
  await until(() => live.sockets.length === 2 && live.client.state === "live");
  assert.doesNotMatch(live.sockets.map(({ url }) => url).join(), new RegExp(token));
});

Deno.test("a service that leaves is looked for again when it said, and no sooner", async () => {
  const sources = fakeSources();
  const service: TestService = await startService({ sources });
  await using live = liveClient(service.port);
  live.client.device("d", () => {});
  await until(() => live.client.state === "live");
  await service.stop();
  await until(() => live.client.state === "offline");
  const { retryAt, closeCode } = live.client.details;
  assert.equal(closeCode, 1012);
  const told = live.messages.find(({ message }) => message.type === "reconnect");
  assert.ok(told !== undefined && retryAt !== null);
  assert.ok(retryAt >= told.at + told.message.after_ms);
});

Deno.test("a source that can't be read is a state, and the other one goes on", async () => {
  const sources = fakeSources();
  await using service = await startService({ sources });
  sources.put("acme", "d", sampleNow(1));
  await using live = liveClient(service.port);
  const given: number[] = [];
  live.client.device("d", (sample) => given.push(numberOf(sample)));
  live.client.alerts(() => {});
  await until(() => given.length === 1);
  sources.telemetryFault = () => new SourceError("denied", "No permission");
  await until(() => live.client.state === "degraded");
  assert.deepEqual(live.client.details.sources.map(({ source }) => source), ["telemetry"]);
  sources.telemetryFault = null;
  await until(() => live.client.state === "live", { withinMs: 20_000 });
  sources.put("acme", "d", sampleNow(2));
  await until(() => given.at(-1) === 2);
});
