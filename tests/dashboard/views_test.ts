// The dashboard in a real browser, before the real service: what a person sees and can do in each view.
import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { alertOf } from "../support/samples.ts";
import { startService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { chromiumPath, DashboardBrowser, inPage, linkState, untilLink } from "./browser.ts";
import { reportingFleet, sampleAgo } from "./fleet_fixture.ts";

const ignore = chromiumPath === null;
const BOUND = { withinMs: 30_000 };

/** The parts of a page that a reader with other senses could not use. */
async function barriers(page: Page): Promise<readonly string[]> {
  // By the debugging protocol, which the page's own policy does not concern.
  await inPage(page, `${axe.source}; undefined`);
  const violations = await inPage<{ id: string; impact: string; nodes: { html: string }[] }[]>(
    page,
    `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] })
      .then(({ violations }) => violations)`,
  );
  return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

async function isWiderThanScreen(page: Page): Promise<boolean> {
  return await inPage(page, "document.documentElement.scrollWidth > innerWidth");
}

async function text(page: Page, selector: string): Promise<string> {
  return (await page.locator(selector).first().textContent()) ?? "";
}

Deno.test({
  name: "A token signs in, from the form or from the fragment, and stays in the tab alone",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    fleet.report("dev-1");
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const token = await signToken();

    const pasted = await browser.page(`${service.origin}/`);
    await pasted.getByLabel("Access token").fill(token);
    await pasted.getByRole("button", { name: "Open dashboard" }).click();
    await pasted.getByRole("link", { name: "dev-1" }).waitFor();
    assert.equal(await linkState(pasted), "live");
    await pasted.reload();
    await pasted.getByRole("link", { name: "dev-1" }).waitFor();
    await pasted.getByRole("button", { name: "Sign out" }).click();
    await pasted.getByLabel("Access token").waitFor();
    assert.equal(await linkState(pasted), "signed_out");
    assert.equal(await inPage(pasted, "JSON.stringify(sessionStorage)"), "{}");

    const requests: string[] = [];
    const linked = await browser.page("about:blank");
    linked.on("request", (request) => requests.push(request.url()));
    await linked.goto(`${service.origin}/#token=${token}`);
    await linked.getByRole("link", { name: "dev-1" }).waitFor();
    assert.equal(await inPage(linked, "location.hash"), "#/fleet");
    assert.deepEqual(requests.filter((url) => new URL(url).search.includes(token)), []);
    assert.equal(await inPage(linked, "JSON.stringify(localStorage) + document.cookie"), "{}");
    browser.checkQuiet();
  },
});

Deno.test({
  name: "A token that is refused is told why, and is forgotten",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const expired = await signToken({ exp: Math.floor(Date.now() / 1_000) - 3_600 });
    const page = await browser.page(`${service.origin}/#token=${expired}`, {
      expected: /WebSocket/,
    });
    await page.getByRole("alert").waitFor();
    assert.match(await text(page, "[role=alert]"), /^The token was refused: .*token/);
    assert.equal(await inPage(page, "JSON.stringify(sessionStorage)"), "{}");
    assert.equal(await linkState(page), "signed_out");
    assert.deepEqual(await barriers(page), []);
    browser.checkQuiet();
  },
});

Deno.test({
  name: "The fleet is counted, listed, searched and filtered, and its trends begin with history",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    for (let ago = 600; ago > 0; ago -= 15) {
      fleet.sources.put("acme", "dev-1", sampleAgo(ago, { temp_c: ago }));
    }
    fleet.report("dev-1", { temp_c: 21.5, pressure_bar: 3 });
    fleet.report("dev-2");
    fleet.sources.put("acme", "old-1", sampleAgo(400, { temp_c: 3 }));
    fleet.sources.setAlerts("acme", [alertOf(7, { device_id: "dev-2" })]);
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/#token=${await signToken()}`);
    const row = (name: string) => page.getByRole("row").filter({ hasText: name });
    await row("old-1").waitFor();
    await until(async () =>
      (await page.locator(".count").allTextContents()).join() ===
        "3Devices,2Online,1Stale,1Open alerts", BOUND);
    assert.match(await row("dev-1").textContent() ?? "", /Live.*Temp.*21\.5\s*°C/);
    assert.match(await row("old-1").textContent() ?? "", /Stale.*6 min/);
    await until(
      async () =>
        ((await row("dev-1").locator("path").getAttribute("d")) ?? "").split("L").length > 30,
      BOUND,
    );

    await page.getByLabel("Metric").selectOption({ label: "Pressure (bar)" });
    await until(async () => /3\s*bar/.test(await row("dev-1").textContent() ?? ""), BOUND);
    assert.match(await row("dev-2").textContent() ?? "", /–/);

    await page.getByLabel("Search devices").fill("OLD");
    await until(async () => (await page.getByRole("row").count()) === 2);
    assert.equal(await text(page, ".shown"), "1 of 3 devices");
    await page.getByLabel("Search devices").fill("nothing");
    await page.getByText("No device matches.").waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await page.getByRole("button", { name: "Open alerts" }).click();
    await until(async () => (await page.getByRole("row").count()) === 2);
    assert.match(await page.getByRole("row").nth(1).textContent() ?? "", /dev-2/);
    assert.deepEqual(await barriers(page), []);
    browser.checkQuiet();
  },
});

Deno.test({
  name:
    "Of three thousand devices only those that are seen are in the page, and keys reach all of them",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    for (let index = 1; index <= 3_000; index++) {
      fleet.report(`dev-${String(index).padStart(4, "0")}`);
    }
    await using service = await startService({
      sources: fleet.sources,
      settings: { WS_POLL_SECONDS: "2" },
    });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/#token=${await signToken()}`);
    await page.getByRole("link", { name: "dev-0001" }).waitFor();
    await until(async () => (await text(page, ".shown")) === "3,000 devices", BOUND);
    assert.equal(await page.getByRole("table").getAttribute("aria-rowcount"), "3001");
    assert.ok(await page.getByRole("row").count() < 60);
    await page.getByRole("link", { name: "dev-0001" }).focus();
    await page.keyboard.press("ArrowDown");
    await until(async () =>
      (await inPage(page, "document.activeElement.textContent")) === "dev-0002"
    );
    await page.keyboard.press("End");
    await until(async () =>
      (await inPage(page, "document.activeElement.textContent")) === "dev-3000"
    );
    assert.ok(await page.getByRole("row").count() < 60);
    assert.equal(await page.getByRole("link", { name: "dev-0001" }).count(), 0);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "dev-3000" }).waitFor();
    assert.equal(await inPage(page, "location.hash"), "#/device/dev-3000");
    assert.equal(await inPage(page, "document.activeElement.id"), "content");
    browser.checkQuiet();
  },
});

Deno.test({
  name: "A device's chart begins with its history, goes on live without a seam, and can be zoomed",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    for (let ago = 300; ago > 0; ago--) {
      fleet.sources.put(
        "acme",
        "dev-1",
        sampleAgo(ago, {
          temp_c: ago / 10,
          door_open: ago < 100,
          mode: ago < 50 ? "defrost" : "cooling",
        }),
      );
    }
    fleet.keepReporting("dev-1", 500);
    fleet.sources.setAlerts("acme", [alertOf(7)]);
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/#token=${await signToken()}`);
    await page.getByRole("link", { name: "dev-1" }).click();
    const plot = page.locator('[data-metric="temp_c"] .plot');
    const points = async () => Number(await plot.getAttribute("data-points"));
    await until(async () => await points() >= 298, BOUND);
    assert.equal(await plot.getAttribute("data-breaks"), "0");
    const before = await points();
    await until(async () => await points() >= before + 2, BOUND);
    assert.equal(await plot.getAttribute("data-breaks"), "0");
    assert.match(await text(page, '[data-metric="temp_c"] .value'), /^\d+\.\d+\s*°C$/);
    assert.match(await text(page, '[data-metric="temp_c"] .extent'), /max 30\.0 °C/);
    assert.match(await text(page, '[data-metric="door_open"]'), /Door open\s*no/);
    assert.equal(await page.locator('[data-metric="door_open"] rect').count(), 3);
    assert.match(await text(page, '[data-metric="mode"]'), /Mode\s*auto/);
    await page.getByText("Too warm").waitFor();
    assert.deepEqual(await barriers(page), []);

    const follow = page.getByRole("button", { name: "Follow live" });
    assert.equal(await follow.getAttribute("aria-pressed"), "true");
    const box = await plot.locator(".u-over").boundingBox();
    assert.ok(box !== null);
    // The last fifth of the quarter of an hour is the last three minutes.
    await page.mouse.move(box.x + box.width * 0.8, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.95, box.y + 40, { steps: 4 });
    await page.mouse.up();
    await until(async () => (await follow.getAttribute("aria-pressed")) === "false", BOUND);
    await until(async () => {
      const [, high = ""] =
        /max (\S+) °C/.exec(await text(page, '[data-metric="temp_c"] .extent')) ?? [];
      await page.mouse.move(5, 5);
      return Number(high) < 25;
    }, BOUND);
    await page.getByRole("button", { name: "Earlier" }).click();
    await follow.click();
    assert.equal(await follow.getAttribute("aria-pressed"), "true");
    browser.checkQuiet();
  },
});

Deno.test({
  name: "Each range asks for no more points than a chart can show",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    fleet.report("dev-1");
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/#token=${await signToken()}`);
    await page.getByRole("link", { name: "dev-1" }).click();
    await page.locator('[data-metric="temp_c"] .plot[data-points="1"]').waitFor();
    for (const range of ["1 h", "6 h", "24 h"]) {
      const asked = page.waitForRequest((request) => /dev-1\/telemetry/.test(request.url()));
      await page.getByRole("link", { name: range, exact: true }).click();
      const { searchParams } = new URL((await asked).url());
      const seconds = { "1 h": 3_600, "6 h": 21_600, "24 h": 86_400 }[range] ?? 0;
      assert.ok(seconds / Number(searchParams.get("resolution_seconds")) <= 1_500, range);
      await page.locator('[data-metric="temp_c"] .plot[data-points="1"]').waitFor();
    }
    assert.equal(await inPage(page, "location.hash"), "#/device/dev-1?range=24h");
    browser.checkQuiet();
  },
});

Deno.test({
  name: "Alerts open and close visibly, worst first, and lead to their device",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    fleet.report("dev-1");
    const notice = alertOf(7, { severity: 1, summary: "Firmware is old" });
    const worst = alertOf(8, {
      severity: 5,
      summary: "<img src=x onerror=alert(1)> Pressure is low",
      created_at: "2026-11-18T10:00:00.000000Z",
    });
    fleet.sources.setAlerts("acme", [notice]);
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/#token=${await signToken()}`);
    await page.getByRole("link", { name: "Alerts" }).click();
    const open = page.getByRole("list", { name: "Open alerts" }).getByRole("listitem");
    await open.filter({ hasText: "Firmware is old" }).waitFor();
    fleet.sources.setAlerts("acme", [notice, worst]);
    await until(async () => (await open.count()) === 2, BOUND);
    assert.match(await open.first().textContent() ?? "", /Severity 5<img src=x/);
    assert.equal(await open.first().getAttribute("data-new"), "true");
    await page.getByRole("button", { name: "Newest first" }).click();
    await until(async () => /Firmware/.test(await open.first().textContent() ?? ""));
    fleet.sources.setAlerts("acme", [
      notice,
      { ...worst, status: "CLOSED", closed_at: new Date().toISOString().replace("Z", "000Z") },
    ]);
    const closed = page.getByRole("list", { name: "Closed lately" }).getByRole("listitem");
    await closed.filter({ hasText: "Pressure is low" }).waitFor();
    assert.match(await closed.first().textContent() ?? "", /closed \d+ s ago/);
    assert.equal(await open.count(), 1);
    assert.deepEqual(await barriers(page), []);
    await open.first().getByRole("link").click();
    await page.getByRole("heading", { name: "dev-1" }).waitFor();
    browser.checkQuiet();
  },
});

Deno.test({
  name: "Every view can be read at 360 pixels and in the dark, and none scrolls sideways",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    const long = "a-device-with-a-name-that-is-far-too-long-for-any-phone-0001";
    for (let ago = 60; ago > 0; ago--) {
      fleet.sources.put("acme", long, sampleAgo(ago, { temp_c: ago }));
    }
    fleet.report(long);
    fleet.sources.setAlerts("acme", [
      alertOf(7, { device_id: long, summary: "Too warm ".repeat(20) }),
    ]);
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const address = `${service.origin}/#token=${await signToken()}`;
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await browser.page(address, { width: 360, height: 740, colorScheme });
      await page.getByRole("link", { name: long }).waitFor();
      assert.ok(!await isWiderThanScreen(page), "fleet");
      assert.deepEqual(await barriers(page), []);
      await page.getByRole("link", { name: long }).click();
      await page.locator('[data-metric="temp_c"] .plot canvas').waitFor();
      assert.ok(!await isWiderThanScreen(page), "device");
      assert.deepEqual(await barriers(page), []);
      await page.getByRole("link", { name: "Alerts" }).click();
      await page.getByRole("list", { name: "Open alerts" }).waitFor();
      assert.ok(!await isWiderThanScreen(page), "alerts");
      assert.deepEqual(await barriers(page), []);
      await untilLink(page, "live");
    }
    browser.checkQuiet();
  },
});

Deno.test({
  name: "However many alerts of a device are open, what its charts draw can be seen",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    fleet.report("dev-1");
    fleet.sources.setAlerts(
      "acme",
      Array.from({ length: 60 }, (_, n) => alertOf(n + 1, { device_id: "dev-1" })),
    );
    await using service = await startService({ sources: fleet.sources });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(
      `${service.origin}/#token=${await signToken()}`,
    );
    await untilLink(page, "live");
    await inPage(page, `location.hash = "#/device/dev-1"`);
    await page.locator(".device-alerts li").nth(59).waitFor();
    await page.locator(".plot canvas").first().waitFor();
    const opacity = () =>
      inPage<number>(
        page,
        `(() => {
          const { width, height } = document.querySelector(".plot canvas");
          const { data } = document.querySelector(".plot canvas").getContext("2d")
            .getImageData(width / 2, height / 4, 40, 1);
          return Math.min(...data.filter((_, place) => place % 4 === 3)) / 255;
        })()`,
      );
    await until(async () => await opacity() > 0.05, BOUND);
    assert.ok(await opacity() < 0.2, `${await opacity()}`);
    browser.checkQuiet();
  },
});
