// The trigger of sql/04_alert_notify.sql on a real PostgreSQL: whom it tells of, how often, and what it never costs a write.
import assert from "node:assert/strict";
import { hear, heardSince } from "./alert_notifications_fixture.ts";
import { postgresSuite } from "./postgres_fixture.ts";

function insert(...tenants: readonly string[]): string {
  const rows = tenants.map((tenant) => `('${tenant}', 'dev-1')`);
  return `INSERT INTO fleet_alert (tenant_id, device_id) VALUES ${rows.join(", ")}`;
}

postgresSuite("The trigger", {
  async "A statement notifies once for each tenant that it touches"(server) {
    await using hearing = await hear(server);
    const told = async (statement: string) => {
      await server.execute(statement);
      return (await heardSince(server, hearing.ears)).toSorted();
    };
    await heardSince(server, hearing.ears);
    assert.deepEqual(await told(insert("a")), ["a"]);
    assert.deepEqual(await told(insert("a", "b", "a", "c", "b")), ["a", "b", "c"]);
    assert.deepEqual(await told("UPDATE fleet_alert SET status = 'CLOSED'"), ["a", "b", "c"]);
    assert.deepEqual(
      await told("UPDATE fleet_alert SET summary = 'x' WHERE tenant_id = 'b'"),
      ["b"],
    );
    assert.deepEqual(await told("DELETE FROM fleet_alert WHERE tenant_id <> 'b'"), ["a", "c"]);
    assert.deepEqual(await told("DELETE FROM fleet_alert"), ["b"]);
  },

  async "An update that moves a row tells the tenant that loses it and the one that gets it"(
    server,
  ) {
    await using hearing = await hear(server);
    await server.execute(insert("old", "other"));
    await heardSince(server, hearing.ears);
    await server.execute("UPDATE fleet_alert SET tenant_id = 'new' WHERE tenant_id = 'old'");
    assert.deepEqual((await heardSince(server, hearing.ears)).toSorted(), ["new", "old"]);
    await server.execute("DELETE FROM fleet_alert");
  },

  async "A statement that touches nothing tells nothing, and neither does one that is undone"(
    server,
  ) {
    await using hearing = await hear(server);
    await heardSince(server, hearing.ears);
    await server.execute("UPDATE fleet_alert SET status = 'OPEN' WHERE tenant_id = 'nobody'");
    await server.execute("DELETE FROM fleet_alert WHERE tenant_id = 'nobody'");
    await server.execute(`BEGIN; ${insert("undone")}; ROLLBACK`);
    assert.deepEqual(await heardSince(server, hearing.ears), []);
  },

  async "Many statements of one transaction tell a tenant once, when it is committed"(server) {
    await using hearing = await hear(server);
    await heardSince(server, hearing.ears);
    const statements = Array.from({ length: 10 }, () => insert("busy"));
    await server.execute(["BEGIN", ...statements, "COMMIT"].join(";"));
    assert.deepEqual(await heardSince(server, hearing.ears), ["busy"]);
  },

  async "A write never fails for what its tenant is called, and such a name is not told"(server) {
    await using hearing = await hear(server);
    await heardSince(server, hearing.ears);
    for (const tenant of ["", "two words", "t".repeat(65), "t".repeat(9_000)]) {
      await server.execute(insert(tenant));
    }
    assert.deepEqual(await heardSince(server, hearing.ears), []);
    assert.deepEqual(hearing.log.of("notification_ignored"), []);
  },

  async "A writer needs no more rights than to write, and tells of its own tenant alone"(server) {
    await server.execute(`
      CREATE ROLE alert_writer NOLOGIN NOSUPERUSER NOBYPASSRLS;
      GRANT INSERT ON fleet_alert TO alert_writer;
      GRANT USAGE ON SEQUENCE fleet_alert_id_seq TO alert_writer`);
    await using hearing = await hear(server);
    await heardSince(server, hearing.ears);
    await server.execute(`
      BEGIN; SET LOCAL ROLE alert_writer; SELECT set_config('app.tenant_id', 'own', true);
      ${insert("own", "own")}; COMMIT`);
    assert.deepEqual(await heardSince(server, hearing.ears), ["own"]);
  },

  async "A table of one's own may hold tenants' ids of another type, and is written as before"(
    server,
  ) {
    const file = new URL("../../../sql/04_alert_notify.sql", import.meta.url);
    const triggers = (await Deno.readTextFile(file))
      .replaceAll(/ ON fleet_alert(?=;|\n)/g, " ON plant_alert");
    await server.execute(`CREATE TABLE plant_alert (tenant_id uuid, status text); ${triggers}`);
    await using hearing = await hear(server);
    await heardSince(server, hearing.ears);
    const tenant = "9d0f1c7e-0b4f-4a53-8f35-0f2c6d4b9a11";
    for (
      const statement of [
        `INSERT INTO plant_alert VALUES ('${tenant}', 'OPEN'), (NULL, 'OPEN')`,
        "UPDATE plant_alert SET status = 'CLOSED'",
        "DELETE FROM plant_alert",
      ]
    ) {
      await server.execute(statement);
      assert.deepEqual(await heardSince(server, hearing.ears), [tenant], statement);
    }
  },
}, { real: true });
