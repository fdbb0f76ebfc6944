// What is live of one tenant while somebody is signed in: one connection and what it brought. Views read its signals and
// never the connection.
import { type Signal, signal } from "@preact/signals";
import type { ClientState, StateDetails } from "../../client/client_events.ts";
import type { Fleet } from "../../client/fleet_channel.ts";
import { PulsewireClient } from "../../client/pulsewire_client.ts";
import { AlertBoard } from "./alert_board.ts";
import { DeviceFeed } from "./device_feed.ts";
import { FleetTable } from "./fleet_table.ts";
import { Rest } from "./rest.ts";
import type { ServiceClock } from "./service_clock.ts";
import type { Span } from "./span.ts";
import { TrendFiller } from "./trend_filler.ts";

export interface Link extends StateDetails {
  readonly state: ClientState;
  /** When the connection was lost, by this machine's clock; null while it is there, and before it ever was. */
  readonly lostMs: number | null;
}

export interface LiveTenantOptions {
  readonly base: URL;
  /** A text where no other token can be had. */
  readonly token: string | (() => Promise<string | null>);
  readonly clock: ServiceClock;
  readonly onUnauthorized: (details: StateDetails) => void;
  readonly onLive: () => void;
}

/** The fleet's rows are drawn at most so often: a tick may bring thousands, and fills come one by one. */
const DRAW_MS = 250;

export class LiveTenant implements Disposable {
  readonly link: Signal<Link> = signal({
    state: "connecting",
    lostMs: null,
    since: Date.now(),
    retryAt: null,
    reason: null,
    closeCode: null,
    sources: [],
  });
  readonly counts: Signal<Fleet | null> = signal(null);
  readonly fleet = new FleetTable();
  readonly fleetVersion: Signal<number> = signal(0);
  readonly alerts = new AlertBoard();
  readonly alertsVersion: Signal<number> = signal(0);
  /** What opened and closed last, for those who can't see it. */
  readonly alertNews: Signal<{ readonly opened: number; readonly closed: number } | null> = signal(
    null,
  );
  readonly filler: TrendFiller;
  readonly #client: PulsewireClient;
  readonly #rest: Rest;
  readonly #clock: ServiceClock;
  #drawing: ReturnType<typeof setTimeout> | null = null;

  constructor({ base, token, clock, onUnauthorized, onLive }: LiveTenantOptions) {
    const url = new URL("api/v2/ws", base);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = url.search = "";
    this.#clock = clock;
    // What the connection goes by is good for reads as well, and is not asked for anew each time.
    let newest: string | null = typeof token === "string" ? token : null;
    const obtain = typeof token === "string" ? token : async () => newest = await token();
    this.#rest = new Rest(
      base,
      async () => newest ?? (typeof obtain === "string" ? obtain : await obtain()),
    );
    this.filler = new TrendFiller({
      rest: this.#rest,
      table: this.fleet,
      clock,
      changed: () => this.#fleetChanged(),
    });
    this.#client = new PulsewireClient(url.href, { token: obtain });
    this.#client.on("state", (state, details) => {
      const before = this.link.peek();
      const wasConnected = before.state === "live" || before.state === "degraded";
      const isConnected = state === "live" || state === "degraded";
      if (isConnected && !wasConnected) void clock.measure(base);
      const lostMs = isConnected ? null : before.lostMs ?? (wasConnected ? Date.now() : null);
      const wasArriving = isArriving(before, "telemetry");
      this.link.value = { ...details, state, lostMs };
      // The trends of the fleet are made of newest samples, which know nothing of an outage.
      if (!wasArriving && this.isArriving("telemetry")) this.fleet.missed();
      if (state === "unauthorized") onUnauthorized(details);
      if (isConnected && !wasConnected) onLive();
    });
    this.#client.fleet((fleet) => void (this.counts.value = fleet));
    this.#client.alerts((open, change) => {
      this.alerts.receive(open, change, clock.now());
      this.alertsVersion.value++;
      if (change === null || change.opened.length + change.closed.length === 0) return;
      this.alertNews.value = { opened: change.opened.length, closed: change.closed.length };
    });
  }

  /** Whether values of a source arrive at present. */
  isArriving(source: "telemetry" | "alerts"): boolean {
    return isArriving(this.link.value, source);
  }

  /** Follows every device until the function that it returns is called. */
  watchFleet(): () => void {
    return this.#client.device("*", { mode: "latest", changesOnly: true }, (sample) => {
      this.fleet.receive(sample);
      this.#fleetChanged();
    });
  }

  openDevice(deviceId: string, span: Span): DeviceFeed {
    return new DeviceFeed({
      deviceId,
      span,
      client: this.#client,
      rest: this.#rest,
      clock: this.#clock,
    });
  }

  showMetric(metric: string | null): void {
    this.fleet.showMetric(metric);
    this.fleetVersion.value++;
  }

  /** Ends a wait between two attempts. */
  hurry(): void {
    this.#client.connect();
  }

  [Symbol.dispose](): void {
    if (this.#drawing !== null) clearTimeout(this.#drawing);
    this.filler[Symbol.dispose]();
    this.#client[Symbol.dispose]();
  }

  #fleetChanged(): void {
    this.#drawing ??= setTimeout(() => {
      this.#drawing = null;
      this.fleetVersion.value++;
    }, DRAW_MS);
  }
}

function isArriving({ state, sources }: Link, source: "telemetry" | "alerts"): boolean {
  return state === "live" ||
    (state === "degraded" && sources.every((degraded) => degraded.source !== source));
}
