// Nothing is lost: everything that a service and its databases may suffer, one after the other, while samples and alerts
// are written and a client follows; in the end the client must know exactly what the databases hold.
import assert from "node:assert/strict";
import { openPostgres } from "../support/postgres.ts";
import { IMPLEMENTATIONS } from "./implementations.ts";
import { LATE_MS, LossRun } from "./loss_run.ts";

const OUTAGE_MS = LATE_MS + 500;

for (const { name, missing, open } of IMPLEMENTATIONS) {
  Deno.test({
    name: `Cuts, kills and outages lose no sample of ${name} and no alert, and repeat none${
      missing === null ? "" : ` (left out: ${missing})`
    }`,
    ignore: missing !== null,
    async fn() {
      await using postgres = await openPostgres();
      await using store = await open(postgres);
      await using run = await LossRun.open({ store, postgres });
      await run.caughtUp("the start");

      run.cut();
      await run.caughtUp("a cut");
      await run.cutUntilAnswered();
      run.cut();
      await run.caughtUp("a cut while catching up");

      await run.killService();
      await run.alertPassed();
      await run.startService();
      await run.caughtUp("the service's death");

      if (store.server !== null) {
        await store.server.kill();
        await run.outage("samples", OUTAGE_MS);
        await store.server.start();
        await run.caughtUp("an outage of telemetry");
      }

      await postgres.kill();
      await run.outage("alerts", OUTAGE_MS);
      await postgres.restart("fast");
      await run.caughtUp("an outage of PostgreSQL");

      await run.cutUntilAnswered();
      await Promise.all([postgres.kill(), store.server?.kill()]);
      await run.outage("alerts", OUTAGE_MS);
      await Promise.all([postgres.restart("fast"), store.server?.start()]);
      await run.caughtUp("outages that began while catching up");

      // The service comes up while neither database can be had.
      await Promise.all([postgres.kill(), store.server?.kill()]);
      await run.killService();
      await run.startService();
      await Promise.all([postgres.restart("fast"), store.server?.start()]);
      await run.caughtUp("the death of all");

      await run.reckon();
      checkThatItHappened(run);
    },
  });
}

/** The comparison proves nothing about what never came about. */
function checkThatItHappened({ client, samples, alerts }: LossRun): void {
  const { connections } = client;
  assert(connections.length >= 5, `${connections.length} connections`);
  const deliveries = connections.flatMap((connection) => connection.deliveries);
  assert(deliveries.some(({ from }) => from === "history"), "nothing came from the database");
  assert(deliveries.some(({ from }) => from === "live"), "nothing came live");
  const late = connections.some(({ deliveries: own }) =>
    own.some((delivery, index) =>
      delivery.from === "live" && samples.isLate(delivery) &&
      own.slice(0, index).some(({ deviceId, timestamp }) =>
        deviceId === delivery.deviceId && timestamp > delivery.timestamp
      )
    )
  );
  assert(late, "no late sample came live after a newer one");
  const absences = connections.slice(1).map(({ connectedAt }, index) => ({
    from: connections[index]?.closedAt ?? Infinity,
    until: connectedAt,
  }));
  const missed = alerts.written.some(({ openedAt, closedAt }) =>
    closedAt !== null &&
    absences.some(({ from, until }) => openedAt > from && closedAt < until)
  );
  assert(missed, "no alert opened and closed while the client was away");
  assert(alerts.failures > 0, "no statement met the outage");
}
