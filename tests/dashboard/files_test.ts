// The page's files as the routes serve them: complete, as they are built, under a policy that they keep, nothing beside.
import assert from "node:assert/strict";
import { testRoutes } from "../http/routes_fixture.ts";

const PATHS = ["/", "/dashboard.css", "/dashboard.js"];

Deno.test("The kept files are what the sources give", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-read", "--allow-env", "--allow-run", "--allow-sys"]
      .concat("tools/build_dashboard.ts", "--check"),
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
    stdout: "null",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
});

Deno.test("Every file of the page is served with its type and the policy", async () => {
  const fetchPage = testRoutes();
  for (const path of PATHS) {
    const response = await fetchPage(path);
    const text = await response.text();
    assert.equal(response.status, 200, path);
    const kind = path === "/" ? "html" : path.endsWith(".css") ? "css" : "javascript";
    assert.equal(response.headers.get("content-type"), `text/${kind}; charset=utf-8`);
    const policy = (response.headers.get("content-security-policy") ?? "").split("; ");
    for (const rule of ["default-src 'none'", "script-src 'self'", "connect-src 'self'"]) {
      assert.ok(policy.includes(rule), `${path}: ${policy}`);
    }
    assert.ok(!policy.join().includes("unsafe"), `${policy}`);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
    if (path !== "/") continue;
    const references = [...text.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(([, name]) =>
      name
    );
    assert.deepEqual(references.map((name) => `/${name}`).sort(), PATHS.slice(1));
    assert.doesNotMatch(text, /<style|\sstyle=|\son\w+=|javascript:|<script[^>]*>[^<]/);
  }
});

Deno.test("An issuer is named to the page and in its policy, and nothing else of the settings", async () => {
  const oidc = { issuer: "https://id.example.com/realms/iot", clientId: "page", scope: "openid" };
  const fetchPage = testRoutes({ page: { oidc, staleSeconds: 120 } });
  const page = await fetchPage("/");
  await page.body?.cancel();
  assert.match(
    page.headers.get("content-security-policy") ?? "",
    /connect-src 'self' https:\/\/id\.example\.com;/,
  );
  assert.deepEqual(await (await fetchPage("/dashboard/config.json")).json(), {
    oidc: { issuer: oidc.issuer, client_id: "page", scope: "openid" },
    stale_seconds: 120,
  });
  assert.deepEqual(await (await testRoutes()("/dashboard/config.json")).json(), {
    oidc: null,
    stale_seconds: 300,
  });
});

Deno.test("The page's modules put data into the page as text only, and keep it in the tab only", async () => {
  const folder = new URL("../../src/dashboard/page/", import.meta.url);
  let count = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!/\.tsx?$/.test(name)) continue;
    count++;
    const text = await Deno.readTextFile(new URL(name, folder));
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
      name,
    );
    assert.doesNotMatch(text, /localStorage|document\.cookie|indexedDB/, name);
  }
  assert.ok(count > 20);
});

Deno.test("Nothing else of the disk can be asked for", async () => {
  const fetchPage = testRoutes();
  for (
    const path of [
      "/page_file.ts",
      "/assets/dashboard.js",
      "/page/main.tsx",
      "/..%2fconfig.ts",
      "/demo.json",
      "/constructor",
      "/dashboard.js/",
    ]
  ) {
    const response = await fetchPage(path);
    await response.body?.cancel();
    assert.equal(response.status, 404, path);
  }
});
