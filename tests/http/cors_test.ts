// Which pages may read what HTTP routes answer: those of the allowed origins, whatever the answer is, and no others.
import assert from "node:assert/strict";
import { testRoutes } from "./routes_fixture.ts";

const ALLOWED = "https://app.example.com";
const allowedOrigins = new Set([ALLOWED, "https://other.example.com"]);
const NAMES = ["access-control-allow-origin", "access-control-expose-headers"];

const ROUTES: ReadonlyArray<readonly [path: string, init: RequestInit, status: number]> = [
  ["/livez", {}, 200],
  ["/readyz", {}, 200],
  ["/", {}, 200],
  ["/dashboard.css", {}, 200],
  ["/api/v2/ws", {}, 426],
  ["/nothing", {}, 404],
  ["/api/v2/ws-ticket", { method: "POST" }, 401],
  ["/api/v2/ws-ticket", { method: "POST", headers: { authorization: "Bearer x.y.z" } }, 500],
  ["/livez", { method: "DELETE" }, 405],
];

for (const [path, init, status] of ROUTES) {
  const name = `${init.method ?? "GET"} ${path} (${status})`;
  const ask = async (options: Parameters<typeof testRoutes>[0], origin: string | null) => {
    const headers = new Headers(init.headers);
    if (origin !== null) headers.set("origin", origin);
    const response = await testRoutes(options)(path, { ...init, headers });
    await response.body?.cancel();
    assert.equal(response.status, status);
    return response.headers;
  };

  Deno.test(`${name} may be read by the pages of allowed origins`, async () => {
    for (const origin of allowedOrigins) {
      const headers = await ask({ allowedOrigins }, origin);
      assert.equal(headers.get("access-control-allow-origin"), origin);
      assert.match(headers.get("vary") ?? "", /\borigin\b/i);
      assert.equal(headers.get("access-control-allow-credentials"), null);
    }
  });

  Deno.test(`${name} may be read by no other page`, async () => {
    for (const origin of ["https://evil.example", "null", `${ALLOWED}.evil.example`, null]) {
      const headers = await ask({ allowedOrigins }, origin);
      assert.equal(headers.get("access-control-allow-origin"), null, String(origin));
      assert.match(headers.get("vary") ?? "", /\borigin\b/i, "caches must not mix them up");
    }
  });

  Deno.test(`${name} says nothing of origins where none are set`, async () => {
    const headers = await ask({}, ALLOWED);
    for (const header of NAMES) assert.equal(headers.get(header), null);
  });
}

function preflight(options: Parameters<typeof testRoutes>[0], origin: string): Promise<Response> {
  return testRoutes(options)("/api/v2/ws-ticket", {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization",
    },
  });
}

Deno.test("A preflight of an allowed origin may send the token's header", async () => {
  const response = await preflight({ allowedOrigins }, ALLOWED);
  assert.equal(response.status, 204);
  assert.equal(response.headers.get("access-control-allow-origin"), ALLOWED);
  assert.match(response.headers.get("access-control-allow-headers") ?? "", /authorization/i);
  assert.match(response.headers.get("access-control-allow-methods") ?? "", /POST/);
});

Deno.test("A preflight of another origin, or where none are set, is allowed nothing", async () => {
  for (
    const [options, origin] of [[{ allowedOrigins }, "https://evil.example"], [
      {},
      ALLOWED,
    ]] as const
  ) {
    const response = await preflight(options, origin);
    assert.equal(response.headers.get("access-control-allow-origin"), null);
    await response.body?.cancel();
  }
});

Deno.test("OPTIONS that is no preflight is answered alike, whether or not origins are set", async () => {
  for (const options of [{ allowedOrigins }, {}]) {
    for (const path of ["/api/v2/devices", "/api/v2/events", "/api/v2/stream/status"]) {
      const response = await testRoutes(options)(path, { method: "OPTIONS" });
      const { status, headers } = response;
      assert.deepEqual([status, headers.get("allow")], [204, "GET, HEAD, OPTIONS"], path);
    }
  }
});
