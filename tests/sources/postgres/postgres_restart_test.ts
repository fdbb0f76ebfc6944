// Restarts PostgreSQL under load, again and again: the process lives, reads fail honestly, the pool comes back.
import assert from "node:assert/strict";
import { SourceError } from "../../../src/sources/source_error.ts";
import { findPostgres, openPostgres } from "../../support/postgres.ts";
import { openPool, until } from "./postgres_fixture.ts";

const restarts = 20;
const readers = 16;
const maxConnections = 4;
/** Longer than a restart takes on a busy machine: whoever still reads then hangs. */
const readTimeoutMs = 30_000;

Deno.test({
  name:
    "Twenty restarts under load end no process, mix no tenants, leak no connection and are got over",
  ignore: findPostgres() === null,
  async fn() {
    await using server = await openPostgres();
    await using pool = openPool(server, { maxConnections });
    const stop = new AbortController();
    let good = 0;
    const wrong: unknown[] = [];
    let failed = 0;
    const read = async (tenantId: string) => {
      const signal = AbortSignal.timeout(readTimeoutMs);
      try {
        const [named, slept] = await pool.readAsTenant(tenantId, [
          { text: "SELECT current_setting('app.tenant_id') AS tenant", parameters: [] },
          { text: "SELECT pg_sleep(0.002), $1::text AS tenant", parameters: [tenantId] },
        ], { signal });
        good++;
        if (named[0]?.tenant !== tenantId || slept[0]?.tenant !== tenantId) {
          wrong.push([named, slept]);
        }
      } catch (error) {
        failed++;
        if (!(error instanceof SourceError && error.kind === "unavailable")) wrong.push(error);
      }
    };
    const load = Array.from({ length: readers }, async (_, n) => {
      while (!stop.signal.aborted) {
        await read(`tenant-${n}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    try {
      await until(() => good > readers, { what: "the load to run" });
      for (let restart = 0; restart < restarts; restart++) {
        await server.restart(restart % 2 === 0 ? "fast" : "immediate");
        const before = good;
        await until(() => good >= before + readers, {
          what: `reads after restart ${restart}`,
        });
        assert.ok(pool.connectionCount <= maxConnections);
      }
    } finally {
      stop.abort();
      await Promise.all(load);
    }
    assert.deepEqual(wrong, []);
    assert.ok(failed > 0, "The restarts hit no read");
    const count =
      "SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = 'pulsewire'";
    const [open] = await server.execute(count);
    assert.ok(Number(open?.count) <= maxConnections);
    await pool[Symbol.asyncDispose]();
    await until(async () => (await server.execute(count))[0]?.count === 0, {
      what: "no connection left",
    });
  },
});
