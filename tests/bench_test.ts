// Tries the way of the benches at a size that says nothing about speed: what they measure with must find what is wrong.
import assert from "node:assert/strict";
import { handshake } from "../bench/benches/handshake.ts";
import { Load } from "../bench/load/load.ts";
import { startControl } from "../bench/service.ts";
import { median, percentileOf, spread } from "../bench/statistics.ts";

const LINUX = Deno.build.os === "linux";
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
    const rows = await handshake.run({ scale: 0.02, rounds: 1, say: () => {} });
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
    }, /Device \d+ came to a socket that follows 1 from 0/);
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

Deno.test("Medians, spreads and percentiles are those of the values", () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(spread([0.5, 2]), "0.50–2.00");
  assert.equal(percentileOf([[1, 98], [7, 1], [900, 1]], 99), 7);
});
