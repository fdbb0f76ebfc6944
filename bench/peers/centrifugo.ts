// Centrifugo as it comes, with a memory engine, on a port of its own: where it is looked for and how it is set. Limits are
// out of its way as they are out of the service's; it must never be asked for what the service is not.
import { freePort } from "../../tests/support/free_port.ts";
import { SHARED_POLL_SECRET } from "../load/dialect.ts";
import { Tethered } from "./tethered.ts";
import { outputOf } from "./output_of.ts";

export interface Installed {
  readonly program: string;
  readonly version: string;
}

export interface CentrifugoOptions {
  /** Where it asks for the devices' values when they are polled. */
  readonly pollUrl: string;
  readonly pollMs: number;
}

export const CENTRIFUGO_PATH = "/connection/websocket";
/** A client that is behind by less is not cut off. */
const QUEUE_BYTES = 64 << 20;

export async function findCentrifugo(): Promise<Installed | null> {
  const program = Deno.env.get("BENCH_CENTRIFUGO") ?? "centrifugo";
  const version = await outputOf(program, ["version"]);
  return version === null ? null : { program, version: /v[\d.]+/.exec(version)?.[0] ?? version };
}

export async function startCentrifugo(
  { program }: Installed,
  options: CentrifugoOptions,
): Promise<Tethered & { readonly port: number }> {
  const port = freePort();
  const path = await Deno.makeTempFile({ prefix: "pulsewire-centrifugo-", suffix: ".json" });
  try {
    await Deno.writeTextFile(path, JSON.stringify(settingsOf(port, options)));
    const tethered = await Tethered.start([program, "--config", path], { port });
    return Object.assign(tethered, { port });
  } finally {
    await Deno.remove(path);
  }
}

function settingsOf(port: number, { pollUrl, pollMs }: CentrifugoOptions): unknown {
  const open = { allow_subscribe_for_client: true, allow_subscribe_for_anonymous: true };
  return {
    http_server: { address: "127.0.0.1", port: String(port) },
    http_api: { insecure: true },
    log: { level: "warn" },
    client: {
      allow_anonymous_connect_without_token: true,
      ping_interval: "300s",
      pong_timeout: "60s",
      queue_max_size: QUEUE_BYTES,
      channel_limit: 1_000,
    },
    shared_poll: { hmac_secret_key: SHARED_POLL_SECRET },
    channel: {
      without_namespace: open,
      proxy: { shared_poll_refresh: { endpoint: pollUrl, timeout: "30s" } },
      namespaces: [{
        name: "poll",
        subscription_type: "shared_poll",
        ...open,
        shared_poll: {
          refresh_interval: `${pollMs}ms`,
          refresh_batch_size: 1_000,
          max_keys_per_connection: 1_000,
        },
      }],
    },
  };
}
