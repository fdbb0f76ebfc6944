// The page's files as the routes serve them: complete, under a policy that they keep, and nothing beside them.
import assert from "node:assert/strict";
import { describeMetric, formatValue, orderMetrics } from "../../src/dashboard/page_metric.js";
import { testRoutes } from "../http/routes_fixture.ts";

const fetchPage = testRoutes();

Deno.test("every file that the page refers to is served with its type and the policy", async () => {
  const waiting = ["/"];
  const seen = new Set<string>();
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    const response = await fetchPage(path);
    const text = await response.text();
    assert.equal(response.status, 200, path);
    const kind = path === "/" ? "html" : path.endsWith(".css") ? "css" : "javascript";
    assert.equal(response.headers.get("content-type"), `text/${kind}; charset=utf-8`);
    const policy = response.headers.get("content-security-policy") ?? "";
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'"]) {
      assert.ok(policy.split("; ").includes(rule), `${path}: ${policy}`);
    }
    assert.ok(!policy.includes("unsafe"), policy);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
    const references = text.matchAll(/(?:from "\.\/|src="|href=")([\w.]+)"/g);
    for (const [, name] of references) waiting.push(`/${name}`);
  }
  assert.ok(seen.has("/page.css") && seen.has("/page_link.js"), [...seen].join());
});

Deno.test("the page has nothing inline that its policy would refuse", async () => {
  const html = await (await fetchPage("/")).text();
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=|javascript:/);
  for (const [script] of html.matchAll(/<script[^>]*>[^<]*/g)) {
    assert.match(script, /^<script type="module" src="[\w.]+">$/);
  }
});

Deno.test("the page's scripts put data into the page as text only", async () => {
  for await (const { name } of Deno.readDir(new URL("../../src/dashboard", import.meta.url))) {
    if (!name.endsWith(".js")) continue;
    const text = await (await fetchPage(`/${name}`)).text();
    assert.ok(text.length > 0);
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/,
      name,
    );
    assert.doesNotMatch(text, /localStorage|document\.cookie/, name);
  }
});

Deno.test("nothing else of the disk can be asked for", async () => {
  for (
    const path of ["/page_file.ts", "/..%2fconfig.ts", "/demo.json", "/constructor", "/page.js/"]
  ) {
    const response = await fetchPage(path);
    await response.body?.cancel();
    assert.equal(response.status, 404, path);
  }
});

Deno.test("a metric's name gives its label and its unit", () => {
  const told = (name: string) => {
    const { label, unit } = describeMetric(name);
    return `${label}|${unit}`;
  };
  assert.equal(told("temp_c"), "Temp|°C");
  assert.equal(told("battery_pct"), "Battery|%");
  assert.equal(told("wind_ms"), "Wind|m/s");
  assert.equal(told("latency_ms"), "Latency|ms");
  assert.equal(told("flow_m3h"), "Flow|m³/h");
  assert.equal(told("cpu_pct"), "CPU|%");
  assert.equal(told("door_open"), "Door open|");
  assert.equal(told("v"), "V|");
  assert.equal(told("x_constructor"), "X constructor|");
});

Deno.test("every kind of value that the wire can bring is shown", () => {
  const show = (value: unknown, unit = "", decimals = 0) => {
    const shown = formatValue(value, { unit, decimals });
    return `${shown.text}|${shown.unit}`;
  };
  assert.equal(show(-21.5, "°C", 2), "−21.50|°C");
  assert.equal(show(true), "yes|");
  assert.equal(show("9007199254740993"), "9007199254740993|");
  assert.equal(show([1, 2]), "[1,2]|");
  assert.equal(show(93_600, "s"), "1 d 2 h|");
  assert.deepEqual(orderMetrics({ mode: "a", open: true, b_pct: 1, temp_c: 2 }), {
    headline: "temp_c",
    others: ["b_pct", "open", "mode"],
  });
  assert.deepEqual(orderMetrics({ mode: "a" }), { headline: null, others: ["mode"] });
});
