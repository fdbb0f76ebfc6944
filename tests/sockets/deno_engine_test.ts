// The runtime's own WebSockets under the contract of all engines, and what the runtime may keep of a request.
import assert from "node:assert/strict";
import { serveDeno } from "../../src/sockets/deno_engine.ts";
import { EngineHarness } from "./engine_harness.ts";
import { engineSuite } from "./engine_suite.ts";

engineSuite("deno", serveDeno, { keepsAbandoned: true });

Deno.test("the runtime can't hold a request for as long as its socket", async () => {
  const { upgradeWebSocket } = Deno;
  const held: Request[] = [];
  Deno.upgradeWebSocket = (request, options) => {
    held.push(request);
    return upgradeWebSocket(request, options);
  };
  try {
    await using harness = await EngineHarness.start(serveDeno);
    const [client] = await harness.connect();
    assert.equal(held.length, 1);
    assert.throws(() => held[0]?.url, TypeError);
    await harness.assertAlive();
    await client.close();
  } finally {
    Deno.upgradeWebSocket = upgradeWebSocket;
  }
});
