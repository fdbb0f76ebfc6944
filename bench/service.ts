// Starts the service for a bench: its settings, its limits out of the way, its port.
import { TEST_SECRET } from "../tests/support/tokens.ts";
import { Child } from "./child.ts";
import type { ControlOptions } from "./subjects/control_entry.ts";
import type { ServiceOptions } from "./subjects/service_entry.ts";

export interface Subject {
  readonly process: Child;
  readonly port: number;
}

/** A machine that allows 20,000 descriptors serves this many sockets. */
const MAX_SOCKETS = 16_000;
/** Nothing is measured long enough for a ping; a peer that is silent for two of them is ended. */
const PING_SECONDS = 300;
export const SOCKET_PATH = "/api/v2/ws?token=";

const NO_LIMITS = {
  MAX_CONNECTIONS: String(MAX_SOCKETS),
  MAX_CONNECTIONS_PER_TENANT: "1000000",
  MAX_CONNECTIONS_PER_USER: "1000000",
  MAX_CONNECTIONS_PER_ADDRESS: "1000000",
  MAX_HANDSHAKES_PER_SECOND: "1000000",
  MAX_SUBSCRIPTIONS: "1000",
};

export async function startService(
  options: ServiceOptions,
  settings: Readonly<Record<string, string>> = {},
): Promise<Subject> {
  const process = Child.start("subjects/service_entry.ts", {
    args: [options],
    flags: [`--v8-flags=--expose-gc,${await heapBound()}`],
    env: {
      ...(settings.JWKS_URL === undefined ? { JWT_SECRET: TEST_SECRET } : {}),
      DATABASE_URL: "postgres://nobody@127.0.0.1:1/none",
      INFLUXDB_URL: "http://127.0.0.1:1",
      HOST: "127.0.0.1",
      PORT: "0",
      PING_SECONDS: String(PING_SECONDS),
      LOG_LEVEL: "warning",
      DRAIN_SECONDS: "0",
      ...NO_LIMITS,
      ...settings,
    },
  });
  return await portOf(process);
}

export interface ControlSettings {
  /**
   * Whether it looks after dead peers as the service does, and as the runtime does unless it is told not to; `none` leaves
   * that away.
   */
  readonly idleTimeout?: "as the service" | "none";
  /** Whether the runtime has the features that deno.json turns on for the service, or is as it comes. */
  readonly features?: "as the service" | "none";
}

/** The bare runtime, which sends so many messages a round to each socket once it is told to. */
export async function startControl(
  messages: number,
  { idleTimeout = "as the service", features = "none" }: ControlSettings = {},
): Promise<Subject> {
  const idleSeconds = idleTimeout === "none" ? 0 : 2 * PING_SECONDS;
  const config = features === "none" ? ["--no-config"] : [];
  return await portOf(
    Child.start("subjects/control_entry.ts", {
      args: [{ messages, idleSeconds } satisfies ControlOptions],
      flags: [...config, "--v8-flags=--expose-gc"],
    }),
  );
}

/** What the task `start` bounds the runtime's heap by. */
async function heapBound(): Promise<string> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  const [, flags] = / --v8-flags=(\S+)/.exec(tasks.start) ?? [];
  if (flags === undefined) throw new Error("The task start bounds no heap");
  return flags;
}

async function portOf(process: Child): Promise<Subject> {
  const { port } = await process.ask<{ port: number }>(["port"]);
  return { process, port };
}
