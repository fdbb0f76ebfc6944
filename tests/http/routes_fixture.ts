// The routes by themselves, for answers that need no server; every part can be replaced.
import { Tickets } from "../../src/auth/tickets.ts";
import { TrustedProxies } from "../../src/http/client_address.ts";
import { Readiness } from "../../src/http/readiness.ts";
import { routes, type RoutesOptions } from "../../src/http/routes.ts";
import { LimitLedger } from "../../src/limits/limits.ts";
import { KeyedBuckets } from "../../src/limits/token_bucket.ts";
import { SideReads } from "../../src/sources/side_reads.ts";
import { defaultLimits } from "../connections/connections_fixture.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { memoryLog } from "../support/memory_log.ts";

/** Asks the routes with what a test wants different; answers as a client reads them. */
export function testRoutes(
  options: Partial<RoutesOptions> = {},
): (path: string, init?: RequestInit) => Promise<Response> {
  const clock = fakeClock();
  const log = memoryLog();
  const sources = fakeSources();
  const fetch = routes({
    readiness: new Readiness({
      states: () => sources.state(),
      check: (signal) => sources.check(signal),
      keys: { isReached: () => true, reach: () => Promise.resolve(true) },
      isDraining: () => false,
      clock,
      log,
      signal: new AbortController().signal,
    }),
    verifier: {
      verify: () => Promise.reject(new TypeError("No token is expected here")),
      reach: () => Promise.resolve(true),
      state: { reached: true, failure: null },
    },
    tickets: new Tickets({ lifetimeMs: 30_000, maxTickets: 10, clock }),
    ticketSeconds: 30,
    allowedOrigins: null,
    proxies: new TrustedProxies([]),
    ledger: new LimitLedger(defaultLimits()),
    handshakes: new KeyedBuckets({ ratePerSecond: 1, burst: 10, maxKeys: 10, clock }),
    isDraining: () => false,
    log,
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
    clock,
    ...options,
  });
  return async (path, init) => await fetch(new Request(`http://host${path}`, init), "127.0.0.1");
}
