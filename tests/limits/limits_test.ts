// The table of limits: complete in what it says, and in agreement with the settings.
import assert from "node:assert/strict";
import { limitsOf } from "../../src/config.ts";
import { LimitLedger, type LimitName, LIMITS, limitSentence } from "../../src/limits/limits.ts";
import { testConfig } from "../support/service.ts";

const NAMES = Object.keys(LIMITS) as LimitName[];

Deno.test("Every limit has a setting of its own, a unit, a reason and a default within its bounds", () => {
  assert.equal(new Set(NAMES.map((name) => LIMITS[name].setting)).size, NAMES.length);
  for (const name of NAMES) {
    const { unit, reason, fallback, min, max } = LIMITS[name];
    assert(unit.length > 0 && reason.length > 20, name);
    assert(min <= fallback && fallback <= max, name);
  }
});

Deno.test("Every limit can be set, and its crossing names the value that was set", () => {
  for (const name of NAMES) {
    const { setting, min, fallback, sentence } = LIMITS[name];
    assert.equal(limitsOf(testConfig())[name], fallback, name);
    const values = limitsOf(testConfig({ [setting]: String(min + 1) }));
    assert.equal(values[name], min + 1);
    if (sentence !== null) {
      assert.match(limitSentence(name, values), new RegExp(`\\b${min + 1}\\b`));
    }
  }
});

Deno.test("A limit that there is no room for is lowered, and never raised", () => {
  const ledger = new LimitLedger(limitsOf(testConfig()));
  ledger.lower("connections", 10);
  ledger.lower("connections", 1_000_000);
  assert.equal(ledger.values.connections, 10);
  assert.equal(ledger.values.subscriptions, LIMITS.subscriptions.fallback);
});

Deno.test("Crossings are counted by limit", () => {
  const ledger = new LimitLedger(limitsOf(testConfig()));
  ledger.crossed("reads");
  ledger.crossed("reads");
  ledger.crossed("subscriptions");
  assert.deepEqual(NAMES.filter((name) => ledger.crossings(name) > 0), ["subscriptions", "reads"]);
  assert.equal(ledger.crossings("reads"), 2);
});
