// What the service answers to plain HTTP.
import assert from "node:assert/strict";
import { pageHeaders } from "../../src/dashboard/page_file.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { startService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { testRoutes } from "./routes_fixture.ts";

Deno.test("/livez answers, and no cache keeps the answer", async () => {
  await using service = await startService({ sources: fakeSources() });
  const response = await fetch(`${service.origin}/livez`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "ok\n");
  assert.equal(response.headers.get("cache-control"), "no-store");
});

Deno.test("/livez answers while both databases are down", async () => {
  const sources = fakeSources();
  sources.telemetryFault = () => new Error("down");
  sources.alertFault = () => new Error("down");
  await using service = await startService({ sources });
  await using client = await service.connect();
  await client.subscribe("dev-1");
  assert.equal(await (await fetch(`${service.origin}/livez`)).text(), "ok\n");
});

Deno.test("A plain GET of the socket's path is told to upgrade, with a token or without", async () => {
  await using service = await startService({ sources: fakeSources() });
  for (const query of ["", `?token=${await signToken()}`]) {
    const response = await fetch(`${service.origin}/api/v2/ws${query}`);
    assert.equal(response.status, 426);
    assert.equal(response.headers.get("upgrade"), "websocket");
    assert.match(await response.text(), /WebSocket/);
  }
});

Deno.test("An unknown path is 404, whatever it tries to reach", async () => {
  await using service = await startService({ sources: fakeSources() });
  const paths = [
    ...["/nothing", "/api/v2", "/api/v2/ws/", "/page_file.ts", "/../main.ts"],
    ...[
      "/%2e%2e/%2e%2e/deno.json",
      "/page.html",
      "/__proto__",
      "/constructor",
      "//dashboard.css%00",
    ],
  ];
  for (const path of paths) {
    const response = await fetch(service.origin + path);
    assert.equal(response.status, 404, path);
    assert.equal(await response.text(), "Not found\n");
  }
});

Deno.test("The page comes with headers that let it load from here only and talk to here only", async () => {
  await using service = await startService({ sources: fakeSources() });
  const page = await fetch(service.origin);
  assert.equal(page.status, 200);
  const html = await page.text();
  assert.match(html, /<!doctype html>/i);
  for (const [name, value] of Object.entries(pageHeaders({ oidc: null, staleSeconds: 300 }))) {
    assert.equal(page.headers.get(name), value);
  }
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert(!policy.includes("unsafe"));
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  const files = [...html.matchAll(/(?:src|href)="([\w./-]+\.(?:css|js))"/g)];
  assert(files.length >= 2, `the page loads ${files}`);
  for (const [, path = ""] of files) {
    const file = await fetch(new URL(path, service.origin));
    assert.equal(file.status, 200, path);
    assert.equal(file.headers.get("x-content-type-options"), "nosniff");
    await file.body?.cancel();
  }
});

Deno.test("The routes need no server: they are one function of a request", async () => {
  const response = await testRoutes()("/livez");
  assert.equal(await response.text(), "ok\n");
});
