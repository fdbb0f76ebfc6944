// What lives as long as one living socket, and where each message of the service goes. It must keep nothing of a socket
// that is gone, and no message may end it.
import type { Clock } from "../clock.ts";
import type { ServerMessage } from "../protocol/server_messages.ts";
import type { AlertChannel } from "./alert_channel.ts";
import type { EventHub } from "./client_events.ts";
import type { Connection, Phase } from "./connection.ts";
import type { ConnectionState } from "./connection_state.ts";
import type { Credentials } from "./credentials.ts";
import type { DeviceTable } from "./device_table.ts";
import type { FleetChannel } from "./fleet_channel.ts";
import { PulsewireError } from "./pulsewire_error.ts";
import { Requests } from "./requests.ts";
import type { ServerClock } from "./server_clock.ts";
import type { Timings } from "./timings.ts";
import { TokenKeeper } from "./token_keeper.ts";

export interface DispatchOptions {
  readonly clock: Clock;
  readonly serverClock: ServerClock;
  readonly credentials: Credentials;
  readonly random: () => number;
  readonly timings: Timings;
  readonly connection: Connection;
  readonly state: ConnectionState;
  readonly devices: DeviceTable;
  readonly alerts: AlertChannel;
  readonly fleet: FleetChannel;
  readonly hub: EventHub;
}

/** What a service takes that does not say. */
const DEFAULT_RATE = 50;

export class Dispatch {
  readonly #options: DispatchOptions;
  #link: { readonly requests: Requests; readonly keeper: TokenKeeper } | null = null;
  #lastId = 0;

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  connected({ hello, credential }: Extract<Phase, { readonly name: "live" }>): void {
    const { clock, connection, devices, alerts, fleet, hub } = this.#options;
    const requests = new Requests({
      clock,
      send: (message) => connection.send(message),
      // Never the same on two sockets, so that a late page can't be taken for another's.
      nextId: () => ++this.#lastId,
      messagesPerSecond: hello.limits.messages_per_second ?? DEFAULT_RATE,
    });
    const keeper = new TokenKeeper({
      ...this.#options,
      requests,
      token: credential.place === "ticket" ? null : credential.value,
      expiresAt: hello.token_expires_at,
      renewed: (token) => connection.renewed(token),
      onError: (error) => hub.emit("error", error),
    });
    this.#link = { requests, keeper };
    devices.connected(requests, hello);
    alerts.connected(requests);
    fleet.connected(requests);
  }

  lost(): void {
    if (this.#link === null) return;
    const { devices, alerts, fleet } = this.#options;
    this.#link.requests[Symbol.dispose]();
    this.#link.keeper[Symbol.dispose]();
    this.#link = null;
    devices.lost();
    alerts.lost();
    fleet.lost();
  }

  receive(message: ServerMessage): void {
    const { devices, hub } = this.#options;
    try {
      if (message.type === "batch") {
        for (const each of message.messages) this.#route(each, message.as_of);
      } else this.#route(message, "as_of" in message ? message.as_of ?? null : null);
      devices.frameEnd();
    } catch (cause) {
      const text = `Message of the service could not be understood: ${message.type}`;
      hub.emit("error", new PulsewireError("invalid_data", text, { cause }));
    }
  }

  #route(message: ServerMessage, asOf: string | null): void {
    const { serverClock, devices, alerts, fleet, state, hub } = this.#options;
    if (asOf !== null) serverClock.read(asOf);
    this.#link?.requests.receive(message);
    switch (message.type) {
      case "telemetry":
        return devices.telemetry(message, asOf);
      case "history":
        return devices.history(message);
      case "alerts":
      case "alert_changes":
        return alerts.receive(message, asOf);
      case "fleet":
        return fleet.receive(message);
      case "status":
        return state.status(message);
      case "stale":
        return hub.emit("stale", { device_id: message.device_id, last: message.last });
      case "token_expiring":
        return this.#link?.keeper.expiring();
      case "error":
        // One that answers something is reported where that was asked.
        if (message.id === undefined && message.code !== "rate_limited") {
          hub.emit("error", new PulsewireError(message.code, message.message));
        }
    }
  }
}
