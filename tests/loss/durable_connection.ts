// A writer's connection to the test's PostgreSQL; what it was told is stored must never be lost when the server is killed.
import postgres from "postgres";
import type { TestPostgres } from "../support/postgres.ts";

/** The server's own setting is `off`, with which a killed server forgets what it has acknowledged last. */
export function openDurableConnection(server: TestPostgres): postgres.Sql {
  return postgres(server.adminUrl, {
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    backoff: () => 0.1,
    connection: { application_name: "loss-writer", synchronous_commit: "on" },
  });
}
