// Whatever the service sends, again or late, becomes what is new to a listener.
import assert from "node:assert/strict";
import fc from "fast-check";
import { AlertBook } from "../../src/client/alert_book.ts";
import type { Alert, AlertChanges } from "../../src/protocol/server_messages.ts";
import { alertOf } from "../support/samples.ts";

const created = (alertId: number, fields: Partial<Alert> = {}) =>
  alertOf(alertId, {
    created_at: `2026-11-18T11:00:${String(alertId).padStart(2, "0")}.000000Z`,
    ...fields,
  });
const whole = { cutAfter: null };
const ids = (alerts: readonly Alert[]) => alerts.map((alert) => alert.alert_id);
const told = (changes: AlertChanges | null) =>
  changes && {
    opened: ids(changes.opened),
    updated: ids(changes.updated),
    closed: [...changes.closed],
  };

Deno.test("the first list is no change, and a later one is what changed since", () => {
  const book = new AlertBook();
  assert.equal(book.list([created(2), created(1)], whole), null);
  assert.deepEqual(ids(book.open), [2, 1]);
  const changes = book.list([created(3), created(2, { severity: 5 })], whole);
  assert.deepEqual(told(changes), { opened: [3], updated: [2], closed: [1] });
  assert.equal(book.list([created(3), created(2, { severity: 5 })], whole), null);
});

Deno.test("an alert that opened and closed while nobody listened is told once, however often it is repeated", () => {
  const book = new AlertBook();
  book.list([], whole);
  const passed = { opened: [created(7)], updated: [], closed: [7, 99] };
  assert.deepEqual(told(book.changes(passed)), { opened: [7], updated: [], closed: [7] });
  assert.equal(book.changes(passed), null);
  assert.deepEqual(book.open, []);
});

Deno.test("an alert that is opened again under its own id is told again, by changes and by a list", () => {
  const book = new AlertBook();
  book.list([created(7)], whole);
  const close = { opened: [], updated: [], closed: [7] };
  const reopen = { opened: [created(7, { severity: 5 })], updated: [], closed: [] };
  assert.deepEqual(told(book.changes(close)), close);
  assert.deepEqual(told(book.changes(reopen)), { opened: [7], updated: [], closed: [] });
  assert.deepEqual(book.open, reopen.opened);
  assert.equal(book.changes(reopen), null);
  assert.deepEqual(told(book.changes(close)), close);
  assert.deepEqual(told(book.list([created(7)], whole)), { opened: [7], updated: [], closed: [] });
  assert.deepEqual(told(book.changes(close)), close);
  assert.equal(book.changes({ ...reopen, closed: [7] }), null);
  assert.deepEqual(book.open, []);
});

Deno.test("what lies beyond the end of a list that was cut is not called closed", () => {
  const book = new AlertBook();
  book.list([created(4), created(3), created(2), created(1)], whole);
  const cut = [created(5), created(3)];
  const changes = book.list(cut, { cutAfter: created(3) });
  assert.deepEqual(told(changes), { opened: [5], updated: [], closed: [4] });
  assert.deepEqual(ids(book.open), [5, 3, 2, 1]);
  assert.deepEqual(told(book.changes({ opened: [], updated: [], closed: [1] }))?.closed, [1]);
});

Deno.test("lists and changes in any mixture leave what is open, and tell each opening and closing once", () => {
  const act = fc.record({
    alertId: fc.integer({ min: 1, max: 12 }),
    deliver: fc.constantFrom("list", "changes", "both", "nothing"),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60, size: "max" }), (acts) => {
      const book = new AlertBook();
      const open = new Set<number>();
      const gone = new Set<number>();
      const opened: number[] = [];
      const closed: number[] = [];
      // What changed since the last delivery; a resume repeats it.
      let pending = { opened: [] as Alert[], updated: [] as Alert[], closed: [] as number[] };
      const hear = (changes: AlertChanges | null) => {
        opened.push(...ids(changes?.opened ?? []));
        closed.push(...(changes?.closed ?? []));
      };
      book.list([], whole);
      for (const { alertId, deliver } of acts) {
        if (open.has(alertId)) {
          open.delete(alertId);
          gone.add(alertId);
          pending.closed.push(alertId);
        } else if (!gone.has(alertId)) {
          open.add(alertId);
          pending.opened.push(created(alertId));
        }
        const list = [...open].sort((one, other) => other - one).map((id) => created(id));
        if (deliver === "list" || deliver === "both") hear(book.list(list, whole));
        if (deliver === "changes" || deliver === "both") {
          hear(book.changes(pending));
          pending = { opened: [], updated: [], closed: [] };
        }
      }
      hear(book.changes(pending));
      assert.deepEqual(ids(book.open), [...open].sort((one, other) => other - one));
      assert.deepEqual(new Set(opened), new Set([...open, ...gone]));
      assert.deepEqual(opened.length, new Set(opened).size);
      assert.deepEqual(new Set(closed), gone);
      assert.deepEqual(closed.length, gone.size);
    }),
    { numRuns: 500 },
  );
});
