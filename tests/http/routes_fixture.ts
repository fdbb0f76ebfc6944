// The routes by themselves, for answers that need no server; every part can be replaced.
import type { CredentialPlace } from "../../src/auth/credential.ts";
import { Tickets } from "../../src/auth/tickets.ts";
import { TrustedProxies } from "../../src/http/client_address.ts";
import { Door } from "../../src/http/door.ts";
import { Readiness } from "../../src/http/readiness.ts";
import { type FetchHandler, routes, type RoutesOptions } from "../../src/http/routes.ts";
import { LimitLedger } from "../../src/limits/limits.ts";
import { Seats } from "../../src/limits/seats.ts";
import { KeyedBuckets } from "../../src/limits/token_bucket.ts";
import { SideReads } from "../../src/sources/side_reads.ts";
import { defaultLimits } from "../connections/connections_fixture.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";

const NOTHING_OPEN = {
  connections: { websocket: 0, events: 0 },
  subscriptions: { device: 0, all_devices: 0, alerts: 0, fleet: 0 },
};

/** The handler of the routes with what a test wants different. */
export function routesWith(options: Partial<RoutesOptions> = {}): FetchHandler {
  const clock = fakeClock();
  const log = memoryLog();
  const sources = fakeSources();
  const ledger = new LimitLedger(defaultLimits());
  const places: ReadonlySet<CredentialPlace> = new Set(["query", "header", "ticket"]);
  const shared = {
    verifier: {
      verify: () => Promise.reject(new TypeError("No token is expected here")),
      reach: () => Promise.resolve(true),
      state: { reached: true, failure: null },
    },
    tickets: new Tickets({ lifetimeMs: 30_000, maxTickets: 10, clock }),
    allowedOrigins: null,
    proxies: new TrustedProxies([]),
    ledger,
    handshakes: new KeyedBuckets({ ratePerSecond: 1, burst: 10, maxKeys: 10, clock }),
    log,
    ...options,
  };
  return routes({
    readiness: new Readiness({
      states: () => sources.state(),
      check: (signal) => sources.check(signal),
      keys: { isReached: () => true, reach: () => Promise.resolve(true) },
      isDraining: () => false,
      clock,
      log,
      signal: new AbortController().signal,
    }),
    door: new Door({
      ...shared,
      accept: places,
      seats: new Seats(ledger),
      enter: () => ({ text() {}, binary() {}, closed() {} }),
    }),
    places,
    keepAwakeMs: 20_000,
    ticketSeconds: 30,
    isDraining: () => false,
    reads: new SideReads({
      sources,
      maxReads: 2,
      lookbackMs: 3_600_000,
      futureMs: 60_000,
      clock,
      log,
      signal: new AbortController().signal,
    }),
    requests: new KeyedBuckets({ ratePerSecond: 1, burst: 10, maxKeys: 10, clock }),
    futureMs: 60_000,
    server: "pulsewire/test",
    page: { oidc: null, staleSeconds: 300 },
    metricsText: null,
    seats: new Seats(ledger),
    stream: {
      usageOf: () => NOTHING_OPEN,
      mostDevicesOf: () => 0,
      feedOf: () => undefined,
      sources: () => sources.state(),
    },
    clock,
    ...shared,
  });
}

/** Asks the routes with what a test wants different; answers as a client reads them. */
export function testRoutes(
  options: Partial<RoutesOptions> = {},
): (path: string, init?: RequestInit) => Promise<Response> {
  const fetch = routesWith(options);
  const peer = { address: "127.0.0.1", terminate() {} };
  return async (path, init) => await fetch(new Request(`http://host${path}`, init), peer);
}
