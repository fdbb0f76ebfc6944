// Holds who may import whom: what a room can't import it can't do.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Import, importsOf, readSources } from "./support/read_imports.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const sources = await readSources(`${root}/src`, { root });

/** Entries and wiring: they may import every room. */
const COMPOSITION = [
  "main.ts",
  "src/app.ts",
  "src/back.ts",
  "src/front.ts",
  "src/serve.ts",
  "src/serve_workers.ts",
  "src/worker.ts",
  "src/listen.ts",
  "src/descriptors.ts",
  "src/leave_on_signal.ts",
  "src/verifier_from_config.ts",
  "src/cli/serve_command.ts",
  "src/demo/",
];

/** What everybody may import; these themselves import only what they are listed with below. */
const COMMON = [
  "src/protocol/",
  "src/observe/",
  "src/errors.ts",
  "src/clock.ts",
  "src/version.ts",
];

/** What each room may import beside itself and the common ground. `type` is for types only. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "src/http/": [
    "src/auth/",
    "src/limits/",
    "type src/sockets/socket.ts",
    "src/dashboard/page_file.ts",
  ],
  "src/auth/": [],
  "src/limits/": ["type src/auth/scope.ts"],
  "src/sockets/": [],
  "src/connections/": [
    "type src/auth/scope.ts",
    // A token is renewed over the socket that it opened: a session is handed a verifier, and tells what its refusal means.
    "type src/auth/verifier.ts",
    "src/auth/auth_error.ts",
    "src/limits/",
    "type src/sockets/socket.ts",
    "type src/feed/seam.ts",
    "type src/feed/feed_registry.ts",
    // Tells a source that can't be read now from a fault of ours.
    "src/feed/history_error.ts",
    // What of the seam's batches is behind whoever begins, wherever batches are kept.
    "src/feed/recent_batches.ts",
    // Which alerts a cut list says nothing of, wherever lists are compared.
    "src/feed/cut_list.ts",
  ],
  "src/feed/": [
    "type src/sources/telemetry_source.ts",
    "type src/sources/alert_source.ts",
    "type src/sources/side_reads.ts",
    "type src/sources/source_guard.ts",
    "src/sources/source_error.ts",
  ],
  // Between the halves of the service, in place of a function call: it knows what passes, and none who sends or reads.
  "src/workers/": [
    "type src/back.ts",
    "type src/front.ts",
    "type src/auth/scope.ts",
    "type src/auth/key_source.ts",
    // When keys are too old, whoever keeps them.
    "src/auth/key_set.ts",
    "src/http/readiness.ts",
    "type src/http/",
    "type src/limits/",
    "src/feed/interest.ts",
    "src/feed/history_error.ts",
    "src/feed/recent_batches.ts",
    "type src/feed/",
  ],
  "src/sources/open_sources.ts": ["src/sources/", "type src/config.ts"],
  "src/sources/": [],
  // Its commands stand beside the service: they use sources, tokens and the client, and know nothing of feeds and sockets.
  "src/cli/": [
    "src/config.ts",
    "src/verifier_from_config.ts",
    "src/auth/auth_error.ts",
    "src/auth/development_token.ts",
    "src/sources/",
    "src/client/pulsewire_client.ts",
    "src/sockets/listen_error.ts",
  ],
  // It is shipped to browsers: it shares the words of the wire, and nothing that would come along.
  "src/client/": ["type src/protocol/", "type src/clock.ts"],
  // It is shipped to browsers, and what it knows of the feed it knows from the client.
  "src/dashboard/page/": ["src/client/", "type src/protocol/"],
  "src/dashboard/": [],
};

/** The common ground knows no room. */
const COMMON_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // Documents and tests are made with it, and nothing that runs: it may name every limit.
  "src/protocol/server_schemas.ts": ["src/protocol/", "src/errors.ts", "src/limits/limits.ts"],
  // An error names the limit that was crossed; what it is and who counts it stays outside.
  "src/protocol/": ["src/errors.ts", "type src/limits/limits.ts"],
  "src/observe/": [],
  "src/errors.ts": [],
  "src/clock.ts": [],
  "src/version.ts": ["deno.json"],
  // Every limit is a setting, and stands once.
  "src/config.ts": ["src/limits/limits.ts", "src/observe/log.ts"],
};

/** The only places that may know a package. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  jose: ["src/auth/", "src/demo/demo_token.ts"],
  hono: ["src/http/"],
  "eventsource-encoder": ["src/http/"],
  ws: ["src/sockets/"],
  "@hono/node-server": ["src/sockets/"],
  zod: ["src/config.ts", "src/protocol/"],
  postgres: ["src/sources/postgres/"],
  "@influxdata/influxdb-client": ["src/sources/influx/"],
  "@logtape/logtape": ["src/observe/"],
  "prom-client": ["src/observe/"],
  "@opentelemetry/api": ["src/observe/"],
  preact: ["src/dashboard/page/"],
  "@preact/signals": ["src/dashboard/page/"],
  uplot: ["src/dashboard/page/"],
};

function isIn(path: string, places: readonly string[]): boolean {
  return places.some((place) => place.endsWith("/") ? path.startsWith(place) : path === place);
}

/** Why an import breaks the rules, or null. */
function breach({ from, to, isBare, isTypeOnly }: Import): string | null {
  const said = `${from} imports ${to}`;
  const isDemo = from.startsWith("src/demo/");
  if (isBare) {
    const home = PACKAGES[to.startsWith("@") ? to : to.split("/")[0] ?? to];
    if (from.startsWith("src/client/")) return said;
    if (to.startsWith("node:") || (isDemo && home === undefined)) return null;
    return home !== undefined && isIn(from, home) ? null : said;
  }
  if (to.startsWith("src/demo/")) return isDemo ? null : said;
  if (isIn(from, COMPOSITION)) return null;
  const common = Object.entries(COMMON_MAY_IMPORT).find(([place]) => isIn(from, [place]));
  const [place, allowed] = common ??
    Object.entries(MAY_IMPORT).find(([room]) => isIn(from, [room])) ?? [];
  if (place === undefined || allowed === undefined) return `${from} is in no room`;
  const isShipped = place === "src/client/" || place === "src/dashboard/page/";
  const mayImport = [place, ...allowed, ...(common === undefined && !isShipped ? COMMON : [])];
  const asValue = mayImport.filter((path) => !path.startsWith("type "));
  const asType = mayImport.map((path) => path.replace(/^type /, ""));
  return isIn(to, isTypeOnly ? asType : asValue) ? null : said;
}

Deno.test("Every file imports only what its room may know", () => {
  assert.ok(sources.size > 30, `only ${sources.size} files were found`);
  const breaches = [...sources].flatMap(([path, text]) =>
    importsOf(path, text).map(breach).filter((said) => said !== null)
  );
  assert.deepEqual(breaches, []);
});

Deno.test("The rule names what it exists to keep apart", () => {
  const forbidden: readonly (readonly [string, string])[] = [
    ["src/connections/x.ts", 'import { open } from "../sources/open_sources.ts";'],
    ["src/connections/x.ts", 'import type { Alert } from "../sources/alert_source.ts";'],
    ["src/connections/x.ts", 'import { TenantFeed } from "../feed/tenant_feed.ts";'],
    ["src/connections/x.ts", 'import { Verifier } from "../auth/verifier.ts";'],
    ["src/connections/x.ts", 'import { createVerifier } from "../auth/verifier.ts";'],
    ["src/connections/x.ts", 'import type { Tickets } from "../auth/tickets.ts";'],
    ["src/connections/x.ts", 'import { serveWs } from "../sockets/ws_engine.ts";'],
    ["src/limits/x.ts", 'import { scopeOf } from "../auth/scope.ts";'],
    ["src/limits/x.ts", 'import { readConfig } from "../config.ts";'],
    ["src/limits/x.ts", 'import type { Connection } from "../connections/connection.ts";'],
    ["src/auth/x.ts", 'import type { Seats } from "../limits/seats.ts";'],
    ["src/sockets/x.ts", 'import { LIMITS } from "../limits/limits.ts";'],
    ["src/sources/x.ts", 'import type { LimitLedger } from "../limits/limits.ts";'],
    ["src/protocol/x.ts", 'import { LIMITS } from "../limits/limits.ts";'],
    ["src/http/x.ts", 'import { WebSocketServer } from "ws";'],
    ["src/connections/x.ts", 'import manifest from "../../deno.json" with { type: "json" };'],
    ["src/feed/x.ts", 'import type { Socket } from "../sockets/socket.ts";'],
    ["src/feed/x.ts", 'import type { Connection } from "../connections/connection.ts";'],
    ["src/feed/x.ts", 'import { PostgresPool } from "../sources/postgres/postgres_pool.ts";'],
    ["src/sources/x.ts", 'import {\n  TenantFeed,\n} from "../feed/tenant_feed.ts";'],
    ["src/sources/x.ts", 'import type { Config } from "../config.ts";'],
    ["src/sources/x.ts", 'import { Door } from "../http/door.ts";'],
    ["src/sockets/x.ts", 'export { Door } from "../http/door.ts";'],
    ["src/protocol/x.ts", 'import { systemClock } from "../clock.ts";'],
    ["src/http/x.ts", 'await import("../demo/main.ts");'],
    ["src/app.ts", 'import "./demo/main.ts";'],
    ["src/http/x.ts", 'import { jwtVerify } from "jose";'],
    ["src/demo/x.ts", 'import { SignJWT } from "jose";'],
    ["src/feed/x.ts", 'import postgres from "postgres";'],
    ["src/feed/x.ts", 'import { PGlite } from "@electric-sql/pglite";'],
    ["src/cli/x.ts", 'import { SignJWT } from "jose";'],
    ["src/cli/x.ts", 'import postgres from "postgres";'],
    ["src/cli/x.ts", 'import { createApp } from "../app.ts";'],
    ["src/cli/x.ts", 'import { TenantFeed } from "../feed/tenant_feed.ts";'],
    ["src/cli/x.ts", 'import { Backoff } from "../client/backoff.ts";'],
    ["src/client/x.ts", 'import { FEATURES } from "../protocol/client_messages.ts";'],
    ["src/client/x.ts", 'import { systemClock } from "../clock.ts";'],
    ["src/client/x.ts", 'import type { Retry } from "../errors.ts";'],
    ["src/client/x.ts", 'import { WebSocket } from "ws";'],
    ["src/client/x.ts", 'import process from "node:process";'],
    ["src/connections/x.ts", 'import { Backoff } from "../client/backoff.ts";'],
    ["src/dashboard/page/x.ts", 'import { FEATURES } from "../../protocol/client_messages.ts";'],
    ["src/dashboard/page/x.ts", 'import { pageFile } from "../page_file.ts";'],
    ["src/http/x.ts", 'import { Dashboard } from "../dashboard/page/dashboard.ts";'],
    ["src/client/x.ts", 'import { signal } from "@preact/signals";'],
    ["src/workers/x.ts", 'import { Seats } from "../limits/seats.ts";'],
    ["src/workers/x.ts", 'import { FetchedKeySet } from "../auth/fetched_key_set.ts";'],
    ["src/workers/x.ts", 'import type { Verifier } from "../auth/verifier.ts";'],
    ["src/workers/x.ts", 'import type { Sources } from "../sources/open_sources.ts";'],
    ["src/workers/x.ts", 'import type { Connection } from "../connections/connection.ts";'],
    ["src/attic/x.ts", 'import { delay } from "../clock.ts";'],
  ];
  for (const [path, text] of forbidden) {
    const said = importsOf(path, text).map(breach);
    assert.equal(said.length, 1, `no import was found in ${text}`);
    assert.notEqual(said[0], null, `${path} may say ${text}`);
  }
});

Deno.test("Every file of src belongs to a room that the rule speaks of", () => {
  const places = [...COMPOSITION, ...Object.keys(MAY_IMPORT), ...Object.keys(COMMON_MAY_IMPORT)];
  assert.deepEqual([...sources.keys()].filter((path) => !isIn(path, places)), []);
});

Deno.test("Only the settings read the environment", () => {
  const readers = [...sources].filter(([path, text]) =>
    !path.startsWith("src/demo/") && /\bDeno\s*\.\s*env\b|\bprocess\s*\.\s*env\b/.test(text)
  );
  assert.deepEqual(readers.map(([path]) => path), ["src/config.ts"]);
});

Deno.test("No file of src has a name that says nothing, and each begins by saying what it is for", () => {
  for (const [path, text] of sources) {
    assert.doesNotMatch(path, /(^|\/)(index|mod|utils?|helpers?|types?|common|misc)\.ts$/);
    assert.match(path, /\/[a-z0-9_]+(\.d)?\.tsx?$/);
    assert.match(text, /^\/\/ [A-Z`].{20,}/, `${path} does not begin with a comment`);
    assert.doesNotMatch(text, /^export default /m, `${path} has a default export`);
  }
});
