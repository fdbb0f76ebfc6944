// Sets up npm:postgres on one socket; the only file that loads it, and it must leave nothing to the driver's own defaults.
import postgres from "postgres";
import type { Log } from "../../observe/log.ts";
import type { GuardedSocket } from "./guarded_socket.ts";
import type { ServerAddress } from "./server_address.ts";

export interface DriverOptions {
  readonly address: ServerAddress;
  readonly prepare: boolean;
  /** Told of what arrives on channels that the connection listens to; it must not throw. */
  readonly notified?: (channel: string, payload: string) => void;
  readonly log: Log;
}

// Everything arrives as PostgreSQL wrote it: bool, bytea, int2, int4, oid, json, float4, float8, date, timestamps, jsonb.
const VERBATIM = {
  to: 25,
  from: [16, 17, 21, 23, 26, 114, 700, 701, 1082, 1114, 1184, 3802],
  serialize: (value: string) => value,
  parse: (value: string) => value,
};

/** A driver that lives and dies with the one socket that it is handed. */
export function driverOn(socket: GuardedSocket, options: DriverOptions): postgres.Sql {
  const { address, prepare, notified, log } = options;
  // Every option is given, so that the driver asks the environment for none of them. Its timers are off and its
  // reconnecting never starts.
  const driverOptions = {
    host: address.host,
    port: address.port,
    user: address.user,
    pass: () => address.password,
    database: address.database,
    connection: { application_name: address.applicationName },
    max: 1,
    prepare,
    ssl: false,
    sslnegotiation: null,
    socket: () => socket,
    idle_timeout: 0,
    connect_timeout: 0,
    max_lifetime: 0,
    max_pipeline: 100,
    backoff: () => 0.25,
    keep_alive: 0,
    debug: false,
    fetch_types: false,
    no_subscribe: true,
    publications: "",
    target_session_attrs: undefined,
    types: { verbatim: VERBATIM },
    onnotify: notified,
    onnotice: (notice: { readonly code?: string }) =>
      log.debug("postgres_notice", { code: notice.code }),
  };
  return postgres(driverOptions as unknown as postgres.Options<Record<string, never>>);
}
