// What two reads of the alerts say changed: each alert once, and never that one is closed which is only out of sight.
import assert from "node:assert/strict";
import fc from "fast-check";
import { compareAlerts, type KnownAlerts, knownAlerts } from "../../src/feed/compare_alerts.ts";
import type { ChangedAlert } from "../../src/sources/alert_source.ts";
import { holds } from "../fuzz/seeded.ts";
import { alertOf } from "../support/samples.ts";

const SINCE = "2026-11-18T10:00:00.000000000Z";
const NEWER = "2026-11-18T10:00:01.000000Z";
const OLDER = "2026-11-18T09:59:59.999999Z";

function read(
  ids: readonly number[],
  { closed = [], total = ids.length, created_at = NEWER }: {
    readonly closed?: readonly number[];
    readonly total?: number;
    readonly created_at?: string;
  } = {},
) {
  const changed = closed.map((id): ChangedAlert => ({
    alert: alertOf(id, { status: "CLOSED", created_at }),
    isOpen: false,
    closedAt: NEWER,
  }));
  return { open: ids.map((id) => alertOf(id)), changed, total, changedSince: SINCE };
}

/** The ids of what changed. */
function idsOf({ changes }: ReturnType<typeof compareAlerts>) {
  if (changes === null) return null;
  const { opened, updated, closed } = changes;
  return [opened.map(({ alert_id }) => alert_id), updated.map(({ alert_id }) => alert_id), closed];
}

Deno.test("What is new in the list was opened, what is gone from it was closed", () => {
  const outcome = compareAlerts(knownAlerts(read([2, 1])), read([3, 2]));
  assert.deepEqual(idsOf(outcome), [[3], [], [1]]);
  assert.deepEqual([...outcome.known.open.keys()], [3, 2]);
});

Deno.test("Where nothing changed there are no changes", () => {
  assert.equal(compareAlerts(knownAlerts(read([2, 1])), read([2, 1])).changes, null);
});

Deno.test("An alert whose content changed was updated", () => {
  for (const field of [{ severity: 5 }, { summary: "Hotter" }, { severity: null }]) {
    const open = [alertOf(2), alertOf(1, field)];
    const { changes } = compareAlerts(knownAlerts(read([2, 1])), { ...read([]), open, total: 2 });
    assert.deepEqual(changes, { opened: [], updated: [open[1]], closed: [] });
  }
});

Deno.test("An alert that opened and closed between two reads stands in both, once", () => {
  let outcome = compareAlerts(knownAlerts(read([1])), read([1], { closed: [7] }));
  assert.deepEqual(idsOf(outcome), [[7], [], [7]]);
  assert.equal(outcome.changes?.opened[0]?.status, "CLOSED");
  outcome = compareAlerts(outcome.known, read([1], { closed: [7] }));
  assert.equal(outcome.changes, null, "it is read again for as long as it may come late");
  outcome = compareAlerts(outcome.known, read([1]));
  assert.equal(compareAlerts(outcome.known, read([1])).changes, null);
});

Deno.test("An alert that was told to be closed is not told to have come and gone", () => {
  const outcome = compareAlerts(knownAlerts(read([7, 1])), read([1], { closed: [7] }));
  assert.deepEqual(idsOf(outcome), [[], [], [7]]);
  assert.equal(compareAlerts(outcome.known, read([1], { closed: [7] })).changes, null);
});

Deno.test("An alert that was closed when the first read looked is not told to have come and gone", () => {
  const known = knownAlerts(read([1], { closed: [7] }));
  assert.equal(compareAlerts(known, read([1], { closed: [7] })).changes, null);
});

Deno.test("An old alert that was never in sight and was closed concerns nobody", () => {
  const older = read([1], { closed: [7], created_at: OLDER });
  assert.equal(compareAlerts(knownAlerts(read([1])), older).changes, null);
  const within = { ...older, changedSince: "2026-11-18T09:59:59.999999500Z" };
  assert.deepEqual(idsOf(compareAlerts(knownAlerts(read([1])), within)), [[7], [], [7]]);
});

Deno.test("An alert that falls off a cut list is not closed, and told as it is when it comes back", () => {
  let outcome = compareAlerts(knownAlerts(read([2, 1])), read([3, 2], { total: 3 }));
  assert.deepEqual(idsOf(outcome), [[3], [], []]);
  outcome = compareAlerts(outcome.known, read([2, 1], { closed: [3] }));
  assert.deepEqual(idsOf(outcome), [[], [1], [3]], "to who came meanwhile it is new");
  assert.equal(compareAlerts(outcome.known, read([2, 1])).changes, null);
});

Deno.test("An alert that fell off a cut list is closed when the table says so", () => {
  let outcome = compareAlerts(knownAlerts(read([2, 1])), read([3, 2], { total: 3 }));
  outcome = compareAlerts(outcome.known, read([4, 3], { total: 3, closed: [1] }));
  assert.deepEqual(idsOf(outcome), [[4], [], [1]]);
  assert.deepEqual([...outcome.known.open.keys()].toSorted(), [2, 3, 4]);
});

Deno.test("An alert that fell off a cut list is closed when the list holds all and lacks it", () => {
  let outcome = compareAlerts(knownAlerts(read([2, 1])), read([3, 2], { total: 3 }));
  outcome = compareAlerts(outcome.known, read([3, 2]));
  assert.deepEqual(idsOf(outcome), [[], [], [1]]);
});

Deno.test("An alert that is gone from the midst of a cut list is closed, though the table does not say when", () => {
  const outcome = compareAlerts(
    knownAlerts(read([4, 3], { total: 3 })),
    read([3, 2], { total: 3 }),
  );
  assert.deepEqual(idsOf(outcome), [[2], [], [4]]);
  assert.equal(compareAlerts(outcome.known, read([3, 2], { total: 3 })).changes, null);
});

Deno.test("Alerts that fell off and leave the table without a word don't fill memory: the latest 20,000 are known", () => {
  const listed = (newest: number) => Array.from({ length: 100 }, (_, nth) => newest - nth);
  let { known } = compareAlerts(knownAlerts(read(listed(100))), read(listed(100)));
  for (let newest = 200; newest <= 30_000; newest += 100) {
    ({ known } = compareAlerts(known, read(listed(newest), { total: 150 })));
  }
  assert.equal(known.open.size, 20_100);
  const { changes } = compareAlerts(known, read(listed(30_000), { closed: [9_901], total: 150 }));
  assert.deepEqual(changes?.closed, [9_901]);
});

Deno.test("An alert that changed while it was out of sight is updated when it comes back", () => {
  const { known } = compareAlerts(knownAlerts(read([2, 1])), read([3, 2], { total: 3 }));
  const open = [alertOf(2), alertOf(1, { severity: 5 })];
  const outcome = compareAlerts(known, { ...read([], { closed: [3] }), open, total: 2 });
  assert.deepEqual(idsOf(outcome), [[], [1], [3]]);
});

interface Row {
  readonly id: number;
  readonly openedAt: number;
  closedAt: number | null;
  severity: number;
}

/** A table of alerts whose reads are cut at a limit and go back some steps. */
class Table {
  readonly #limit: number;
  readonly #rows: Row[] = [];
  #now = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get open(): ReadonlySet<number> {
    return new Set(this.#rows.filter(({ closedAt }) => closedAt === null).map(({ id }) => id));
  }

  /** Ids that were open at some time and are not. */
  get closed(): ReadonlySet<number> {
    return new Set(this.#rows.filter(({ closedAt }) => closedAt !== null).map(({ id }) => id));
  }

  play(act: "open" | "close" | "update", pick: number): void {
    this.#now++;
    if (act === "open") {
      const id = this.#rows.length + 1;
      this.#rows.push({ id, openedAt: this.#now, closedAt: null, severity: 1 });
      return;
    }
    const open = this.#rows.filter(({ closedAt }) => closedAt === null);
    const row = open[pick % Math.max(1, open.length)];
    if (row === undefined) return;
    if (act === "close") row.closedAt = this.#now;
    else row.severity++;
  }

  /** All that changed later than a step back in time. */
  read(since: number) {
    const alert = (row: Row) =>
      alertOf(row.id, {
        severity: row.severity,
        status: row.closedAt === null ? "OPEN" : "CLOSED",
        created_at: `${at(row.openedAt)}Z`,
      });
    const open = this.#rows.filter(({ closedAt }) => closedAt === null)
      .toSorted((a, b) => b.openedAt - a.openedAt);
    const changed = this.#rows
      .filter(({ openedAt, closedAt }) => Math.max(openedAt, closedAt ?? 0) > since)
      .map((row): ChangedAlert => ({
        alert: alert(row),
        isOpen: row.closedAt === null,
        closedAt: row.closedAt === null ? null : `${at(row.closedAt)}Z`,
      }));
    return {
      open: open.slice(0, this.#limit).map(alert),
      changed,
      total: open.length,
      changedSince: `${at(since)}000Z`,
    };
  }

  get now(): number {
    return this.#now;
  }
}

function at(step: number): string {
  return new Date(Date.UTC(2026, 10, 18) + step).toISOString().slice(0, 23) + "000";
}

Deno.test("Who replays the list and all changes knows the open alerts, and each that came and went once", async () => {
  const acts = fc.array(
    fc.record({
      act: fc.constantFrom<"open" | "close" | "update" | "read">(
        ...["open", "open", "close", "close", "update", "read", "read"] as const,
      ),
      pick: fc.nat(),
    }),
    { minLength: 10, maxLength: 80, size: "max" },
  );
  await holds(
    fc.property(acts, fc.constantFrom(3, 1_000), fc.nat(6), (script, limit, lateSteps) => {
      const table = new Table(limit);
      let readAt = 0;
      let known: KnownAlerts | null = null;
      let atFirst = new Set<number>();
      const followed = new Set<number>();
      const opened: number[] = [];
      const closed: number[] = [];
      for (const { act, pick } of [...script, { act: "read" as const, pick: 0 }]) {
        if (act !== "read") {
          table.play(act, pick);
          continue;
        }
        const state = table.read(readAt - lateSteps);
        readAt = table.now;
        if (known === null) {
          known = knownAlerts(state);
          for (const { alert_id } of state.open) followed.add(alert_id);
          atFirst = new Set([...table.open, ...table.closed]);
          continue;
        }
        const outcome = compareAlerts(known, state);
        known = outcome.known;
        for (const { alert_id } of outcome.changes?.opened ?? []) {
          assert.ok(!followed.has(alert_id), "not opened twice");
          followed.add(alert_id);
          opened.push(alert_id);
        }
        for (const alertId of outcome.changes?.closed ?? []) {
          assert.ok(followed.delete(alertId), "only what was told to be open is closed");
          closed.push(alertId);
        }
        for (const { alert_id } of state.open) assert.ok(followed.has(alert_id));
        for (const alertId of followed) assert.ok(table.open.has(alertId), "none stays open");
        if (limit === 1_000) assert.deepEqual([...followed].sort(), [...table.open].sort());
      }
      assert.equal(new Set(opened).size, opened.length);
      assert.equal(new Set(closed).size, closed.length);
      if (limit < 1_000) return;
      const came = [...table.open, ...table.closed].filter((id) => !atFirst.has(id));
      assert.deepEqual(opened.toSorted(), came.toSorted(), "each that came is told once");
    }),
    { numRuns: 500 },
  );
});
