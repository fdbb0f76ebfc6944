// What strangers write into a handshake: credentials, subprotocols, forwarded addresses, cookies, tickets. Nothing of it
// may throw, and nobody may choose the address that limits count by.
import assert from "node:assert/strict";
import { isIP } from "node:net";
import fc from "fast-check";
import {
  type CredentialPlace,
  findCredential,
  selectSubprotocol,
} from "../../src/auth/credential.ts";
import { Tickets } from "../../src/auth/tickets.ts";
import { addressKey, TrustedProxies } from "../../src/http/client_address.ts";
import { KeyedBuckets } from "../../src/limits/token_bucket.ts";
import { upgradeFault } from "../../src/sockets/upgrade_fault.ts";
import { HandClock } from "../auth/verifier_fixture.ts";
import { holds } from "./seeded.ts";

const PLACES: readonly CredentialPlace[] = ["query", "header", "subprotocol", "ticket"];

/** What an HTTP header can hold at all. */
const value = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.array(
    fc.constantFrom(
      "Bearer ",
      "bearer x",
      "Basic x",
      "pulsewire",
      "bearer.",
      "bearer.a.b.c",
      ",",
      ", ",
      ";",
      "=",
      "token=",
      "\t",
      "websocket",
      "Upgrade",
    ),
    { maxLength: 8 },
  ).map((words) => words.join("")),
).filter((text) => {
  try {
    new Headers({ x: text });
    return true;
  } catch {
    return false;
  }
});

const headers = fc.dictionary(
  fc.constantFrom(
    "authorization",
    "sec-websocket-protocol",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "connection",
    "upgrade",
    "cookie",
    "origin",
    "x-forwarded-for",
    "forwarded",
  ),
  value,
).map((entries) => new Headers(entries));

const query = fc.array(
  fc.tuple(fc.constantFrom("token", "ticket", "Token", "token[]", ""), fc.string()),
  { maxLength: 4 },
).map((pairs) => `?${new URLSearchParams(pairs)}`);

Deno.test("Any headers and any query hold one credential, none, or too many, and never throw", async () => {
  const request = fc.tuple(query, headers, fc.subarray([...PLACES]));
  await holds(
    fc.property(request, ([search, sent, places]) => {
      const credential = findCredential({ search, headers: sent }, { accept: new Set(places) });
      if (credential.kind === "token") {
        assert.notEqual(credential.token, "");
        assert(places.includes(credential.place));
      } else if (credential.kind === "ticket") {
        assert.notEqual(credential.ticket, "");
        assert(places.includes("ticket"));
      } else {
        assert(["missing", "ambiguous", "subprotocol_missing"].includes(credential.kind));
      }
      assert([null, "pulsewire"].includes(selectSubprotocol(sent)));
      const fault = upgradeFault({ method: "GET", headers: sent });
      assert(fault === null || [400, 426].includes(fault.status));
    }),
    { numRuns: 3_000 },
  );
});

const address = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.ipV4(), fc.nat({ max: 70_000 })).map(([ip, port]) => `${ip}:${port}`),
  fc.tuple(fc.ipV6(), fc.nat({ max: 70_000 })).map(([ip, port]) => `[${ip}]:${port}`),
  fc.ipV4().map((ip) => `::ffff:${ip}`),
  fc.constantFrom("::1%eth0", "unknown", "_hidden", "", "10.0.0.1", "::", "fe80::1%1", "1:2::3:"),
);

Deno.test("Whatever X-Forwarded-For says, a client that no trusted proxy vouches for counts by its own address", async () => {
  const proxies = new TrustedProxies(["10.0.0.0/8", "fd00::/8"]);
  const peer = fc.oneof(fc.ipV4(), fc.ipV6());
  await holds(
    fc.property(peer, value, fc.array(address), (own, text, hops) => {
      fc.pre(!proxies.trusts(own));
      for (const forwarded of [text, hops.join(", ")]) {
        const sent = new Headers({ "x-forwarded-for": forwarded });
        assert.equal(proxies.clientOf(own, sent), plainOf(own));
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("What a client writes before a trusted proxy's own entry never changes whom it counts as", async () => {
  const proxies = new TrustedProxies(["10.0.0.0/8"]);
  const client = fc.ipV4().filter((ip) => !proxies.trusts(ip));
  await holds(
    fc.property(client, fc.oneof(value, fc.array(address).map(String)), (own, made) => {
      const sent = new Headers({ "x-forwarded-for": `${made}, ${own}, 10.1.2.3` });
      assert.equal(proxies.clientOf("10.0.0.7", sent), own);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("Any address has a key, the same for all of an IPv6 network of 64 bits and for every way to write it", async () => {
  const group = fc.integer({ min: 0, max: 0xffff });
  await holds(
    fc.property(
      fc.tuple(fc.array(group, { minLength: 8, maxLength: 8 }), address),
      ([groups, other]) => {
        assert.equal(typeof addressKey(other), "string");
        const proxies = new TrustedProxies(["10.0.0.7"]);
        const client = proxies.clientOf("10.0.0.7", new Headers({ "x-forwarded-for": other }));
        assert(isIP(client) !== 0, `${other} became the client ${client}`);
        assert(!addressKey(client).includes("NaN"), `${client} has the key ${addressKey(client)}`);
        const written = groups.map((value) => value.toString(16)).join(":");
        const long = groups.map((value) => value.toString(16).padStart(4, "0").toUpperCase());
        const short = new URL(`http://[${written}]/`).hostname.slice(1, -1);
        const key = addressKey(written);
        assert.match(key, /^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){3}::\/64$/);
        assert.equal(addressKey(short), key, `${short} and ${written}`);
        assert.equal(addressKey(long.join(":")), key);
        const neighbour = [...groups.slice(0, 4), 1, 2, 3, 4].map((value) => value.toString(16));
        assert.equal(addressKey(neighbour.join(":")), key);
      },
    ),
    { numRuns: 3_000 },
  );
});

function plainOf(ip: string): string {
  return ip.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
}

Deno.test("However tickets are issued, guessed, replayed and aged, each is worth one scope once", async () => {
  type Act =
    | { readonly act: "issue" }
    | { readonly act: "redeem"; readonly which: number }
    | { readonly act: "guess"; readonly text: string }
    | { readonly act: "pass"; readonly ms: number };
  const step: fc.Arbitrary<Act> = fc.oneof(
    fc.record({ act: fc.constant("issue" as const) }),
    fc.record({ act: fc.constant("redeem" as const), which: fc.nat() }),
    fc.record({ act: fc.constant("guess" as const), text: fc.string({ unit: "binary" }) }),
    fc.record({ act: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 40_000 }) }),
  );
  await holds(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const clock = new HandClock();
      const tickets = new Tickets({ lifetimeMs: 30_000, maxTickets: 5, clock });
      const issued: Array<{ ticket: string; user: string; at: number; isSpent: boolean }> = [];
      for (const next of steps) {
        if (next.act === "issue") {
          const user = `user-${issued.length}`;
          const ticket = tickets.issue({
            tenantId: "acme",
            userId: user,
            email: null,
            role: "customer_viewer",
            expiresAt: clock.now() + 60_000,
          });
          assert.match(ticket, /^[A-Za-z0-9_-]{43}$/);
          issued.push({ ticket, user, at: clock.now(), isSpent: false });
        } else if (next.act === "redeem" && issued.length > 0) {
          const one = issued[next.which % issued.length]!;
          const scope = tickets.redeem(one.ticket);
          // Of more than five that wait, the oldest are void.
          const later = issued.slice(issued.indexOf(one) + 1);
          const isYoung = clock.now() - one.at < 30_000;
          if (scope === null) assert(one.isSpent || !isYoung || later.length >= 5);
          else {
            assert(!one.isSpent && isYoung);
            assert.equal(scope.userId, one.user);
          }
          one.isSpent = true;
        } else if (next.act === "guess") {
          assert.equal(tickets.redeem(next.text), null);
        } else if (next.act === "pass") {
          clock.nowMs += next.ms;
        }
        assert(tickets.size <= 5);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("However many addresses knock, the buckets that remember them stay few and none gives more than its burst", async () => {
  const knock = fc.tuple(fc.nat({ max: 40 }), fc.integer({ min: 0, max: 2_000 }));
  await holds(
    fc.property(fc.array(knock, { maxLength: 200, size: "max" }), (knocks) => {
      const clock = new HandClock();
      const buckets = new KeyedBuckets({ ratePerSecond: 1, burst: 3, maxKeys: 8, clock });
      for (const [who, ms] of knocks) {
        clock.nowMs += ms;
        const waitMs = buckets.take(`10.0.0.${who}`);
        assert(waitMs >= 0 && waitMs <= 1_000);
        assert(buckets.size <= 8);
      }
      const now = Array.from({ length: 10 }, () => buckets.take("10.9.9.9"));
      assert.equal(now.filter((waitMs) => waitMs === 0).length, 3);
    }),
    { numRuns: 500 },
  );
});
