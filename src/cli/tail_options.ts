// Reads what a person wants to follow out of the flags; it must refuse what can't be before anything connects.
import type { DeviceOptions } from "../client/pulsewire_client.ts";
import { durationMs } from "./duration.ts";
import type { Flags } from "./parse_command.ts";
import { UsageError } from "./usage_error.ts";

export interface TailOptions {
  readonly url: URL;
  readonly deviceIds: readonly string[];
  readonly device: DeviceOptions;
  readonly hasAlerts: boolean;
  readonly hasFleet: boolean;
  readonly isJson: boolean;
}

/** Where the service of these settings listens; a port of null is one that only the service knows. */
export interface OwnAddress {
  readonly host: string;
  readonly port: number | null;
}

const SOCKET_PATH = "/api/v2/ws";
const PROTOCOLS: readonly string[] = ["http:", "https:", "ws:", "wss:"];

/** Throws UsageError. */
export function tailOptionsOf(flags: Flags, own: OwnAddress): TailOptions {
  const deviceIds = [...new Set(flags.texts("device"))];
  const [hasAlerts, hasFleet] = [flags.has("alerts"), flags.has("fleet")];
  if (deviceIds.length === 0 && !hasAlerts && !hasFleet) {
    throw new UsageError("There is nothing to follow: give --device, --alerts or --fleet");
  }
  const stray = ["mode", "since"].find((name) => flags.has(name));
  if (deviceIds.length === 0 && stray !== undefined) {
    throw new UsageError(`Flag --${stray} needs --device`);
  }
  const mode = flags.text("mode");
  return {
    url: urlOf(flags.text("url") ?? urlOfOwn(own)),
    deviceIds,
    device: {
      ...(mode === undefined ? {} : { mode: mode === "every" ? "every" : "latest" }),
      ...startOf(flags.text("since")),
    },
    hasAlerts,
    hasFleet,
    isJson: flags.has("json"),
  };
}

/** An address of "everywhere" can be listened on but not be opened. */
function urlOfOwn({ host, port }: OwnAddress): string {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const url = `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}`;
  if (port !== null && URL.canParse(url)) return url;
  throw new UsageError("HOST and PORT do not say where the service is reached: give --url");
}

/** The service's own address leads to its socket. What else stands there is not repeated: it could be a credential. */
function urlOf(text: string): URL {
  if (!URL.canParse(text) || !PROTOCOLS.includes(new URL(text).protocol)) {
    throw new UsageError("Flag --url must be an address such as https://pulse.example.com");
  }
  const url = new URL(text);
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new UsageError(
      "Flag --url must hold no credentials, no query and no fragment: give the token by --token-file",
    );
  }
  if (url.pathname === "/") url.pathname = SOCKET_PATH;
  return url;
}

function startOf(since: string | undefined): Pick<DeviceOptions, "since" | "historySeconds"> {
  if (since === undefined) return {};
  const ms = durationMs(since);
  if (ms !== null) return { historySeconds: ms / 1_000 };
  if (Number.isNaN(Date.parse(since))) {
    throw new UsageError(
      `Flag --since must be a duration above 0 or an instant that exists, it is ${since}`,
    );
  }
  return { since };
}
