// Tries the way of the benches at a size that says nothing about speed: what they measure with must find what is wrong.
import assert from "node:assert/strict";
import type { Row } from "../bench/bench.ts";
import { tableOf } from "../bench/report.ts";
import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import { handshake } from "../bench/benches/handshake.ts";
import { contentFault } from "../bench/load/content_fault.ts";
import { FrameScan } from "../bench/load/frame_scan.ts";
import { Load } from "../bench/load/load.ts";
import { deviceName } from "../bench/load/names.ts";
import { Tethered } from "../bench/peers/tethered.ts";
import { Rounds } from "../bench/rounds.ts";
import { startControl } from "../bench/service.ts";
import { Shared } from "../bench/shared.ts";
import { freePort } from "./support/free_port.ts";
import { median, percentileOf, spread } from "../bench/statistics.ts";
import { sampleOf } from "../bench/load/samples.ts";
import { frameOf, frameOfParts } from "../src/protocol/frame.ts";
import { wireOf } from "../src/sockets/wire.ts";

const LINUX = Deno.build.os === "linux";
/** To the one key that the load client sends. */
const UPGRADED = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" +
  "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const ONE_SOCKET = {
  maxSockets: 1,
  tenants: 1,
  devicesPerSocket: 1,
  devicesOfTenant: 20,
  isEvery: false,
};

Deno.test({
  name: "A bench runs from its processes to its rows, with every socket opened",
  ignore: !LINUX,
  async fn() {
    await using shared = new Shared();
    const rows = await handshake.run({ scale: 0.02, rounds: 1, say: () => {}, shared });
    assert.ok(rows.some(({ what }) => what.startsWith("control")));
    assert.ok(rows.some(({ ratio, goal }) => ratio !== undefined && goal !== undefined));
    for (const { what, value } of rows) assert.doesNotMatch(value, /NaN|Infinity/, what);
  },
});

Deno.test({
  name: "The load client counts what a server sends, and tells of each reading alone",
  ignore: !LINUX,
  async fn() {
    const { process, port } = await startControl(1);
    await using _process = process;
    await using load = new Load(ONE_SOCKET);
    await load.connect({ port, path: "/", tokens: [""], count: 1, inFlight: 1 });
    await process.ask(["run"]);
    let updates = 0;
    while (updates === 0) updates = (await load.read()).updates;
    await process.ask(["hold"]);
    let reading = await load.read();
    while (reading.updates > 0) reading = await load.read();
    assert.equal(reading.open, 1);
    assert.equal(reading.bytes, 0);
  },
});

Deno.test({
  name: "A message for somebody else ends the load client with a fault",
  ignore: !LINUX,
  async fn() {
    // It follows one device and is sent those of all.
    const { process, port } = await startControl(20);
    await using _process = process;
    await using load = new Load(ONE_SOCKET);
    await load.connect({ port, path: "/", tokens: [""], count: 1, inFlight: 1 });
    await process.ask(["run"]);
    await assert.rejects(async () => {
      while (true) await load.read();
    }, /Device 00-\d+ came to a socket that follows 1 of 00 from 0/);
  },
});

Deno.test({
  name: "A socket that is dropped ends the load client with a fault",
  ignore: !LINUX,
  async fn() {
    const { process, port } = await startControl(1);
    await using load = new Load(ONE_SOCKET);
    await load.connect({ port, path: "/", tokens: [""], count: 1, inFlight: 1 });
    await process[Symbol.asyncDispose]();
    await assert.rejects(async () => {
      while (true) await load.read();
    }, /A socket was (dropped|closed)/);
  },
});

/** What a socket is told of a device: a message of its own, or a history. */
function told(type: "telemetry" | "history", deviceId: string): Buffer {
  const sample = sampleOf({ ms: 0, n: 1, device: Number(deviceId.slice(3)) });
  return frame(JSON.stringify(
    type === "telemetry"
      ? { type, device_id: deviceId, data: sample }
      : { type, device_id: deviceId, samples: [sample], done: true },
  ));
}

/** How a scan looks at one device that one socket follows. */
const ONE_DEVICE = { devicesPerSocket: 1, devicesOfTenant: 1, isEvery: false, isLines: false };

Deno.test("A sample of another tenant, or of a device beyond the followed ones, is at fault", () => {
  const faultOf = (bytes: Buffer) => {
    const scan = new FrameScan(1, { ...ONE_DEVICE, devicesPerSocket: 10, devicesOfTenant: 50 });
    scan.expect(0, { tenant: 11, first: 45 });
    scan.take(0, bytes, { length: bytes.length, now: 0 });
    return scan.fault;
  };
  for (const type of ["telemetry", "history"] as const) {
    for (const mine of [45, 49, 0, 4]) {
      assert.equal(faultOf(told(type, deviceName(mine, 11))), null);
    }
    for (const other of [deviceName(45, 10), deviceName(5, 11), deviceName(50, 11), "0b-gone"]) {
      assert.match(String(faultOf(told(type, other))), /came to a socket/, other);
    }
  }
});

Deno.test("A sample that comes again is at fault where each must be new, and makes nothing new anywhere", () => {
  const scanOf = (isAlwaysNew: boolean) =>
    new FrameScan(1, { ...ONE_DEVICE, devicesPerSocket: 2, devicesOfTenant: 2, isAlwaysNew });
  const bytes = Buffer.concat([
    told("telemetry", deviceName(0)),
    told("telemetry", deviceName(1)),
    told("telemetry", deviceName(1)),
  ]);
  const strict = scanOf(true);
  strict.take(0, bytes, { length: bytes.length, now: 0 });
  assert.equal(strict.fault, "Sample 1 of a device came after 1");
  const scan = scanOf(false);
  assert.equal(scan.takeRenewed(0), 0);
  scan.take(0, bytes, { length: bytes.length, now: 0 });
  assert.deepEqual([scan.fault, scan.counts.updates, scan.counts.fresh], [null, 3, 2]);
  assert.equal(scan.takeRenewed(0), 2);
  scan.take(0, bytes, { length: bytes.length, now: 0 });
  assert.equal(scan.takeRenewed(0), 0);
});

Deno.test("A message whose values were not written, or with alerts of others or too few, is at fault", () => {
  const expected = { mark: "0b", openAlerts: 2, mayLackValues: false };
  const faultOf = (message: unknown, mayLackValues = false) =>
    contentFault(JSON.stringify(message), { ...expected, mayLackValues });
  const device_id = deviceName(7, 11);
  const sample = sampleOf({ ms: 0, n: 42, device: 7 });
  const telemetry = { type: "telemetry", device_id, data: sample };
  const alert = { alert_id: 1, device_id };
  const right = [
    telemetry,
    { type: "history", device_id, samples: [sample], done: true },
    { type: "batch", messages: [telemetry] },
    { type: "alerts", alerts: [alert, alert] },
    { push: { channel: "t11", pub: { data: telemetry } } },
    { type: "subscribed", channel: "alerts" },
  ];
  for (const message of right) assert.equal(faultOf(message), null);
  const { power: _, ...fewer } = sample.metrics;
  for (
    const metrics of [{}, fewer, { ...sample.metrics, power: 1 }, { ...sample.metrics, more: 1 }]
  ) {
    const wrong = { ...telemetry, data: { ...sample, metrics } };
    const told = [
      wrong,
      { type: "history", device_id, samples: [sample, wrong.data], done: true },
      { type: "batch", messages: [telemetry, wrong] },
      { push: { channel: "t11", pub: { data: wrong } } },
    ];
    for (const message of told) {
      assert.match(String(faultOf(message)), /A sample of 0b-007 at .* holds/);
    }
  }
  const half = { ...telemetry, data: { ...sample, metrics: fewer } };
  assert.equal(faultOf(half, true), null);
  const none = { ...telemetry, data: { ...sample, metrics: {} } };
  assert.match(String(faultOf(none, true)), /holds/);
  const other = { alert_id: 2, device_id: deviceName(7, 10) };
  for (const alerts of [[], [alert], [alert, other], [alert, alert, alert]]) {
    assert.match(String(faultOf({ type: "alerts", alerts })), /alerts were listed/);
  }
});

Deno.test("The first message and then one of many are read as a whole", () => {
  const scan = new FrameScan(1, ONE_DEVICE);
  const right = told("telemetry", deviceName(0));
  const wrong = Buffer.from(right);
  wrong.write("off", wrong.indexOf("normal"));
  const take = (bytes: Buffer) => scan.take(0, bytes, { length: bytes.length, now: 0 });
  take(right);
  for (let nth = 0; nth < 2_000 && scan.fault === null; nth++) take(wrong);
  assert.match(String(scan.fault), /holds .*"mode":"offmal"/);
});

Deno.test("A history that begins later than where it was asked from is at fault", () => {
  const faultFrom = (historyFrom: number) => {
    const scan = new FrameScan(1, ONE_DEVICE);
    scan.historyFrom = historyFrom;
    const bytes = told("history", deviceName(0));
    scan.take(0, bytes, { length: bytes.length, now: 0 });
    return scan.fault;
  };
  assert.equal(faultFrom(1), null);
  assert.equal(faultFrom(0), "History has 1 where 0 was due");
});

Deno.test({
  name: "A close that is not answered as it should be ends the load client with a fault",
  ignore: !LINUX,
  async fn() {
    const answers = new Map([
      [/closed: 1011/, Buffer.from([0x88, 2, 0x03, 0xf3])],
      [/dropped/, Buffer.alloc(0)],
      [null, Buffer.from([0x88, 2, 0x03, 0xe8])],
    ]);
    for (const [fault, answer] of answers) {
      const server = createServer((socket) => {
        // A load client that is at fault ends at once, which may reset the connection.
        socket.on("error", () => {});
        socket.once("data", () => {
          socket.write(UPGRADED);
          socket.once("data", () => socket.end(answer));
        });
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as { port: number };
      await using load = new Load(ONE_SOCKET);
      const churned = load.connect({
        port,
        path: "/",
        tokens: [""],
        count: 1,
        inFlight: 1,
        isChurn: true,
      });
      if (fault === null) await churned;
      else await assert.rejects(churned, fault);
      await new Promise((resolve) => server.close(resolve));
    }
  },
});

Deno.test("The load client finds every sample of a batch, whatever stands between them, and no more", () => {
  const scan = new FrameScan(1, { ...ONE_DEVICE, devicesPerSocket: 3, devicesOfTenant: 3 });
  const sampleFrame = (device: number) => {
    const data = sampleOf({ ms: Date.now(), n: 7, device });
    return frameOf({ type: "telemetry", device_id: deviceName(device), data });
  };
  const frames = [sampleFrame(0), frameOf({ type: "alerts", alerts: [] }), sampleFrame(1)];
  const batch = wireOf(frameOfParts(
    { type: "batch", as_of: "", messages: [] },
    { head: '{"type":"batch","messages":[', frames, tail: "]}" },
  ));
  const bytes = Buffer.concat([batch, wireOf(sampleFrame(2))]);
  assert(scan.take(0, bytes, { length: bytes.length, now: Date.now() }));
  const { updates, frames: counted } = scan.counts;
  assert.deepEqual([scan.fault, updates, counted], [null, 3, 2]);
});

/** A frame of Centrifugo's: a line for each push. */
function pushes(samples: ReadonlyArray<{ readonly device: number; readonly n: number }>): Buffer {
  const text = samples.map(({ device, n }) => {
    const data = {
      type: "telemetry",
      device_id: deviceName(device),
      data: sampleOf({ ms: 0, n, device }),
    };
    return JSON.stringify({ push: { channel: "t0", pub: { data } } });
  }).join("\n");
  return frame(text);
}

function frame(text: string): Buffer {
  const header = text.length < 126
    ? [0x81, text.length]
    : [0x81, 126, text.length >> 8, text.length & 0xff];
  return Buffer.concat([Buffer.from(header), Buffer.from(text)]);
}

function scanOfLines(): (bytes: Buffer) => FrameScan {
  const scan = new FrameScan(1, {
    ...ONE_DEVICE,
    devicesPerSocket: 2,
    devicesOfTenant: 20,
    isLines: true,
  });
  return (bytes) => {
    scan.take(0, bytes, { length: bytes.length, now: 0 });
    return scan;
  };
}

Deno.test("Of a peer's frame each line is counted, pushes as updates and the others as answers", () => {
  const take = scanOfLines();
  take(frame('{"id":1,"connect":{}}\n{"id":2,"subscribe":{}}\n{}'));
  const { counts, fault } = take(
    pushes([{ device: 0, n: 1 }, { device: 1, n: 1 }, { device: 0, n: 2 }]),
  );
  assert.equal(fault, null);
  assert.deepEqual([counts.answers, counts.updates, counts.fresh], [2, 3, 3]);
});

Deno.test("A peer that sends a wrong device, an older sample or an error is at fault", () => {
  const faultOf = (bytes: Buffer) => String(scanOfLines()(bytes).fault);
  assert.match(faultOf(pushes([{ device: 7, n: 1 }])), /Device 00-007 came to a socket/);
  assert.match(faultOf(pushes([{ device: 0, n: 2 }, { device: 0, n: 1 }])), /Sample 1 .* after 2/);
  assert.match(faultOf(frame('{"id":2,"error":{"code":103}}')), /was answered with/);
  assert.match(faultOf(frame('{"push":{"channel":"t0","join":{}}}')), /Unexpected push/);
});

Deno.test("What benches share is opened once, and closed from the newest on when nobody left needs it", async () => {
  const acts: string[] = [];
  const thing = (name: string) => ({
    name,
    open: () => {
      acts.push(`open ${name}`);
      const close = () => Promise.resolve(void acts.push(`close ${name}`));
      return Promise.resolve({ [Symbol.asyncDispose]: close });
    },
  });
  {
    await using shared = new Shared();
    const world = await shared.get(thing("world"));
    assert.equal(await shared.get(thing("world")), world);
    await shared.get(thing("crowd"));
    await shared.get(thing("other"));
    await shared.keep(new Set(["world", "crowd"]));
    assert.deepEqual(acts.splice(0), ["open world", "open crowd", "open other", "close other"]);
  }
  assert.deepEqual(acts, ["close crowd", "close world"]);
});

Deno.test("What is shared is closed even when something on it could not be closed in order", async () => {
  const shared = new Shared();
  let isWorldClosed = false;
  const close = () => Promise.resolve(void (isWorldClosed = true));
  const fail = () => Promise.reject(new Error("It keeps sockets that are gone"));
  const open = (dispose: () => Promise<void>) => () =>
    Promise.resolve({ [Symbol.asyncDispose]: dispose });
  await shared.get({ name: "world", open: open(close) });
  await shared.get({ name: "crowd", open: open(fail) });
  await assert.rejects(shared.keep(new Set()), /It keeps sockets that are gone/);
  assert.equal(isWorldClosed, true);
});

Deno.test("Rounds compare what was measured in the same round, without the one that is thrown away", async () => {
  const compared = new Rounds("control");
  await compared.measure(
    new Map([
      ["control", (round: number) => Promise.resolve({ rate: round === 0 ? 1_000 : round })],
      ["subject", (round: number) => Promise.resolve({ rate: round * 3 })],
    ]),
    3,
  );
  assert.deepEqual(compared.of("subject", "rate").median, 6);
  assert.deepEqual(compared.ratio("rate", ["subject", "control"]), {
    median: 3,
    spread: "3.00–3.00",
  });
});

Deno.test("A round in which one of those measured together fails ends when all of them have", async () => {
  const other = Promise.withResolvers<void>();
  let hasEnded = false;
  const measuring = new Rounds("control").measureTogether(
    new Map([
      ["control", () => Promise.reject(new Error("A socket was dropped"))],
      ["subject", async () => {
        await other.promise;
        hasEnded = true;
        return { rate: 1 };
      }],
    ]),
    1,
  );
  setTimeout(other.resolve, 0);
  await assert.rejects(measuring, /A socket was dropped/);
  assert.equal(hasEnded, true);
});

Deno.test({
  name: "A peer's program is told by its process, and ends with whoever started it",
  ignore: !LINUX,
  async fn() {
    const port = freePort();
    const program = `Deno.serve({ port: ${port}, hostname: "127.0.0.1" }, () => new Response())`;
    const tethered = await Tethered.start([Deno.execPath(), "eval", program], { port });
    assert.ok((await tethered.usage()).residentBytes > 0);
    await tethered[Symbol.asyncDispose]();
    await assert.rejects(tethered.usage(), /it has ended/);
    await assert.rejects(Deno.connect({ port, hostname: "127.0.0.1" }));
  },
});

Deno.test({
  name: "A peer's program that does not start is told with what it said",
  ignore: !LINUX,
  async fn() {
    const program = "throw new Error('no such setting')";
    await assert.rejects(
      Tethered.start([Deno.execPath(), "eval", program], { port: freePort() }),
      /no such setting/,
    );
  },
});

Deno.test("Medians, spreads and percentiles are those of the values", () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(spread([0.5, 2]), "0.50–2.00");
  assert.equal(percentileOf([[1, 98], [7, 1], [900, 1]], 99), 7);
});

Deno.test("A table has a column for whatever stands in one, and each has dashes below its head", () => {
  const bench = { name: "workers", work: "One thread and two" };
  const row = { what: "one", value: "1", spread: "1–2", isMet: null };
  const lines = (rows: readonly Row[]) =>
    tableOf({ bench, rows, seconds: 1 }).split("\n").filter((line) => line.startsWith("|"));
  assert.deepEqual(lines([row]), [
    "| what | figure | spread |",
    "| ---- | ------ | ------ |",
    "| one  | 1      | 1–2    |",
  ]);
  const [, dashes] = lines([row, { ...row, goal: "1", isMet: true }]);
  assert.equal(dashes, "| ---- | ------ | ------ | ---- | --- |");
});
