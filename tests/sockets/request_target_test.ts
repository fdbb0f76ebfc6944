// A target is cut as a URL would cut it, whatever stands in it.
import assert from "node:assert/strict";
import fc from "fast-check";
import { targetInUrl, targetOf } from "../../src/sockets/request_target.ts";

function parametersOf(search: string | undefined) {
  return [...new URLSearchParams(search)];
}

const piece = fc.oneof(
  fc.constantFrom(
    "/",
    "/api/v2/ws",
    "?",
    "#",
    "..",
    "/./",
    "//",
    "%2e",
    "%",
    "&",
    "=",
    "+",
    "token",
    "@",
    ":",
    "\\",
  ),
  fc.string({ unit: "binary-ascii" }).map((text) => text.replace(/[\u0000-\u0020\u007f]/g, "")),
  fc.constantFrom("ä", "\u00ff", "'", '"', "<", "|"),
);

Deno.test("Any target has the path of its URL, and a query that reads as its URL's", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const target = `/${pieces.join("")}`;
      const url = URL.parse(`http://localhost${target}`);
      const cut = targetOf(target);
      assert.equal(cut?.pathname, url?.pathname);
      assert.deepEqual(parametersOf(cut?.search), parametersOf(url?.search));
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("What begins with no slash is no path, and no target at all is the root", () => {
  assert.equal(targetOf("http://elsewhere/api/v2/ws"), null);
  assert.equal(targetOf("*"), null);
  assert.deepEqual(targetOf(undefined), { pathname: "/", search: "" });
});

Deno.test("Any URL has the path of itself, and a query that reads as its own, whatever its host", () => {
  const host = fc.oneof(
    fc.constantFrom("127.0.0.1:8000", "[::1]:8000", "iot-2.example.com", "EXAMPLE.com:80", "a_b"),
    fc.constantFrom("user@x", "a\\b", "a b", "", "ä.example", "x:99999"),
  );
  fc.assert(
    fc.property(host, fc.array(piece, { maxLength: 8 }), (host, pieces) => {
      const text = `http://${host}/${pieces.join("")}`;
      const url = URL.parse(text);
      // Only then somebody would be let in to another place than the URL names.
      if (url === null) return;
      const cut = targetInUrl(text);
      assert.equal(cut?.pathname, url.pathname);
      assert.deepEqual(parametersOf(cut?.search), parametersOf(url.search));
    }),
    { numRuns: 5_000 },
  );
  assert.equal(targetInUrl("http://a b/api/v2/ws"), null);
});
