// Whose address a request counts for: no header that a stranger can write may change it.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { addressKey, TrustedProxies } from "../../src/http/client_address.ts";

const PROXIES = ["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"];

const ROWS: ReadonlyArray<readonly [peer: string, forwarded: string | null, client: string]> = [
  // From peers that are no proxy of ours the header is not read.
  ["198.51.100.1", "203.0.113.1", "198.51.100.1"],
  ["192.0.2.2", "203.0.113.1", "192.0.2.2"],
  ["2001:db8::1", "203.0.113.1", "2001:db8::1"],
  ["", "203.0.113.1", ""],
  // From a proxy: the last one that we don't trust.
  ["10.1.2.3", null, "10.1.2.3"],
  ["10.1.2.3", "", "10.1.2.3"],
  ["10.1.2.3", "203.0.113.1", "203.0.113.1"],
  ["192.0.2.1", "203.0.113.1", "203.0.113.1"],
  ["2001:db8:ffff::9", "203.0.113.1", "203.0.113.1"],
  ["10.1.2.3", "203.0.113.1, 10.9.9.9", "203.0.113.1"],
  ["10.1.2.3", "10.8.8.8, 10.9.9.9", "10.8.8.8"],
  // What stands further left was written by whoever stands there.
  ["10.1.2.3", "1.1.1.1, 203.0.113.1", "203.0.113.1"],
  ["10.1.2.3", "10.0.0.1, 203.0.113.1, 10.9.9.9", "203.0.113.1"],
  // Ports, brackets and IPv4 in IPv6.
  ["10.1.2.3", "203.0.113.1:5123", "203.0.113.1"],
  ["10.1.2.3", "[2001:db8::7]:443", "2001:db8::7"],
  ["10.1.2.3", "[2001:db8::7]", "2001:db8::7"],
  ["10.1.2.3", "2001:db8::7", "2001:db8::7"],
  ["::ffff:10.1.2.3", "203.0.113.1", "203.0.113.1"],
  ["::ffff:198.51.100.1", "203.0.113.1", "198.51.100.1"],
  ["10.1.2.3", "::ffff:203.0.113.1", "203.0.113.1"],
  // Garbage ends the search at the last address that was sure.
  ["10.1.2.3", "unknown", "10.1.2.3"],
  ["10.1.2.3", "203.0.113.1, unknown", "10.1.2.3"],
  ["10.1.2.3", "203.0.113.1, <script>, 10.9.9.9", "10.9.9.9"],
  ["10.1.2.3", "203.0.113.999", "10.1.2.3"],
  ["10.1.2.3", ", ,,", "10.1.2.3"],
];
for (const [peer, forwarded, client] of ROWS) {
  Deno.test(`A peer ${peer || "without an address"} with X-Forwarded-For ${forwarded} counts as ${client || "nobody"}`, () => {
    const headers = new Headers(forwarded === null ? {} : { "x-forwarded-for": forwarded });
    assert.equal(new TrustedProxies(PROXIES).clientOf(peer, headers), client);
  });
}

Deno.test("Where no proxy is trusted no header is believed", () => {
  const headers = new Headers({ "x-forwarded-for": "203.0.113.1" });
  for (const peer of ["127.0.0.1", "::1", "10.0.0.1"]) {
    assert.equal(new TrustedProxies([]).clientOf(peer, headers), peer);
  }
});

Deno.test("One IPv6 network of 64 bits counts as one address, however it is written", () => {
  const key = addressKey("2001:db8:1:2::1");
  assert.equal(key, "2001:db8:1:2::/64");
  for (
    const same of [
      ...["2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:0db8:0001:0002:0:0:0:1", "2001:db8:1:2::"],
      ...["2001:db8:1:2:3:4:192.0.2.1", "2001:db8:1:2::1%eth0"],
    ]
  ) {
    assert.equal(addressKey(same), key, same);
  }
  for (const other of ["2001:db8:1:3::1", "2001:db8::1", "::1", "2001:db8:1::2:0:0:1"]) {
    assert.notEqual(addressKey(other), key, other);
  }
  assert.equal(addressKey("192.0.2.1"), "192.0.2.1");
  assert.notEqual(addressKey("192.0.2.1"), addressKey("192.0.2.2"));
});

Deno.test("Whatever the header holds, a stranger counts for itself and a proxied one for what the proxy saw", () => {
  const proxies = new TrustedProxies(PROXIES);
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
  });
  fc.assert(fc.property(text, (made) => {
    const forwarded = new Headers({ "x-forwarded-for": made });
    assert.equal(proxies.clientOf("198.51.100.1", forwarded), "198.51.100.1");
    const appended = new Headers({ "x-forwarded-for": `${made}, 203.0.113.1` });
    assert.equal(proxies.clientOf("10.1.2.3", appended), "203.0.113.1");
  }));
});

Deno.test("A peer's connections count by its address, and those of a proxy by nobody's", () => {
  const proxies = new TrustedProxies(PROXIES);
  const keys = ["198.51.100.1", "::ffff:198.51.100.1", "2001:db8:1:2::1", "127.0.0.1"].map((peer) =>
    proxies.keyOf(peer)
  );
  assert.deepEqual(keys, ["198.51.100.1", "198.51.100.1", "2001:db8:1:2::/64", "127.0.0.1"]);
  for (const proxy of ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:ffff::9"]) {
    assert.equal(proxies.keyOf(proxy), null);
  }
});
