// Devices that spoil a query: found, set aside, and told once.
import assert from "node:assert/strict";
import { Quarantine } from "../../src/feed/quarantine.ts";
import { SourceError } from "../../src/sources/source_error.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { memoryLog } from "../support/memory_log.ts";

Deno.test("Two reads that find the same spoiler side by side tell of it once", async () => {
  const log = memoryLog();
  const quarantine = new Quarantine({
    tenantId: "acme",
    clock: fakeClock(),
    log,
    quarantineMs: 60_000,
  });
  const query = async (deviceIds: readonly string[]) => {
    await Promise.resolve();
    if (deviceIds.includes("bad")) throw new SourceError("rejected", "Not this one");
  };
  const read = () => quarantine.read(["good", "bad", "better"], query);
  assert.deepEqual(await Promise.all([read(), read()]), [true, true]);
  assert.equal(quarantine.isSetAside("bad"), true);
  assert.deepEqual(log.records.map(({ event }) => event), ["devices_set_aside"]);
});
