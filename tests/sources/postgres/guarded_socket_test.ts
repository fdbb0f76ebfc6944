// Shows the driver's fault held off by the socket, and TLS to a real server in each of its modes.
import assert from "node:assert/strict";
import postgres from "postgres";
import { GuardedSocket } from "../../../src/sources/postgres/guarded_socket.ts";
import { parseServerAddress } from "../../../src/sources/postgres/server_address.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { forever, openPool, postgresSuite, until } from "./postgres_fixture.ts";
import { WireProxy } from "./wire_proxy.ts";

async function run(program: string, ...args: string[]): Promise<void> {
  const { code, stderr } = await new Deno.Command(program, { args, cwd: "/" }).output();
  if (code !== 0) throw new Error(`Cannot run ${program}: ${new TextDecoder().decode(stderr)}`);
}

/** Switches TLS on with a certificate of its own making for 127.0.0.1; returns the certificate. */
async function enableTls(server: TestPostgres, folder: string): Promise<string> {
  const [certificate, key] = [`${folder}/server.crt`, `${folder}/server.key`];
  const names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
  ];
  await run("openssl", "req", "-x509", ...kind, ...names, "-keyout", key, "-out", certificate);
  await Deno.chmod(key, 0o600);
  if (Deno.uid() === 0) await run("chown", "-R", "postgres", folder);
  await server.execute(`ALTER SYSTEM SET ssl_cert_file = '${certificate}'`);
  await server.execute(`ALTER SYSTEM SET ssl_key_file = '${key}'`);
  await server.execute("ALTER SYSTEM SET ssl = on");
  await server.execute("SELECT pg_reload_conf()");
  await until(async () => (await server.execute("SHOW ssl"))[0]?.ssl === "on", { what: "TLS" });
  return await Deno.readTextFile(certificate);
}

async function isEncrypted(
  server: TestPostgres,
  sslmode: string,
  caCertificate?: string,
): Promise<boolean> {
  const url = `${server.appUrl}?sslmode=${sslmode}`;
  await using pool = openPool(server, {
    url,
    role: "",
    tables: [],
    ...(caCertificate === undefined ? {} : { caCertificate }),
  });
  const [rows] = await pool.readAsTenant("a", [
    { text: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", parameters: [] },
  ], forever());
  return rows[0]?.ssl === "t";
}

postgresSuite("The socket under the driver", {
  async "A driver that writes on to a dead connection is told so, and the process lives"(server) {
    for (let round = 0; round < 5; round++) {
      const proxy = new WireProxy(server.port);
      const address = parseServerAddress(proxy.through(server.appUrl));
      const socket = await GuardedSocket.connect({ address, ...forever() });
      const { host, port, user, password: pass, database } = address;
      const options = {
        host,
        port,
        user,
        pass,
        database,
        max: 1,
        fetch_types: false,
        no_subscribe: true,
      };
      const timers = { idle_timeout: 0, connect_timeout: 0, max_lifetime: 0 };
      const driver = postgres(
        { ...options, ...timers, socket: () => socket } as unknown as postgres.Options<
          Record<string, never>
        >,
      );
      // After the failed statement the driver sends a ROLLBACK of its own: where it used to write to null.
      await assert.rejects(driver.begin(async (transaction) => {
        await transaction`SELECT 1`;
        await proxy[Symbol.asyncDispose]();
        await transaction`SELECT 2`;
      }));
      await socket.gone;
      assert.equal(socket.readyState, "closed");
    }
  },

  async "A signal ends an attempt to connect with its own reason"() {
    const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const reason = new Error("Enough");
    const controller = new AbortController();
    const address = parseServerAddress(
      `postgres://a@127.0.0.1:${silent.addr.port}/a?sslmode=require`,
    );
    const attempt = GuardedSocket.connect({ address, signal: controller.signal });
    const peer = await silent.accept();
    controller.abort(reason);
    await assert.rejects(attempt, (error) => error === reason);
    peer.close();
    silent.close();
  },

  async "TLS is used as sslmode says, and a server that can't prove itself is refused"(server) {
    const isUnavailable = (error: unknown) =>
      error instanceof SourceError && error.kind === "unavailable";
    assert.equal(await isEncrypted(server, "prefer"), false);
    await assert.rejects(isEncrypted(server, "require"), isUnavailable);
    const folder = await Deno.makeTempDir({ prefix: "pulsewire-tls-" });
    try {
      const certificate = await enableTls(server, folder);
      assert.equal(await isEncrypted(server, "disable"), false);
      assert.equal(await isEncrypted(server, "prefer"), true);
      assert.equal(await isEncrypted(server, "require"), true);
      assert.equal(await isEncrypted(server, "verify-full", certificate), true);
      await assert.rejects(isEncrypted(server, "verify-full"), isUnavailable);
    } finally {
      await server.execute("ALTER SYSTEM SET ssl = off");
      await server.execute("SELECT pg_reload_conf()");
      await Deno.remove(folder, { recursive: true });
    }
  },
}, { real: true });
