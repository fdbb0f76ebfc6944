// The dashboard while something is down: the service itself, a database, a token that ends. Old values must never look
// live, and nothing must be missing afterwards.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { openSources } from "../../src/sources/open_sources.ts";
import { systemClock } from "../../src/clock.ts";
import { findInfluxd, openInfluxd } from "../support/influxd.ts";
import { openPostgres } from "../support/postgres.ts";
import { startService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { chromiumPath, DashboardBrowser, untilLink } from "./browser.ts";
import { reportingFleet, sampleAgo } from "./fleet_fixture.ts";

const ignore = chromiumPath === null;
const BOUND = { withinMs: 60_000 };

function textOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).first().innerText();
}

Deno.test({
  name: "The service ends and starts again while a chart is open, and the chart has no hole",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    const { sources } = fleet;
    const put = (ago: number) => sources.put("acme", "dev-1", sampleAgo(ago, { temp_c: ago }));
    for (let ago = 120; ago > 0; ago--) put(ago);
    fleet.keepReporting("dev-1", 500);
    let service = await startService({ sources });
    const { port, origin } = service;
    try {
      await using browser = await DashboardBrowser.open();
      const page = await browser.page(`${origin}/#token=${await signToken()}`, {
        // The browser itself says that a socket or a read could not be opened.
        expected: /ERR_CONNECTION_REFUSED|WebSocket connection/,
      });
      await page.getByRole("link", { name: "dev-1" }).click();
      const plot = page.locator('[data-metric="temp_c"] .plot');
      await until(async () => Number(await plot.getAttribute("data-points")) >= 117, BOUND);
      await page.locator('[data-metric="temp_c"][data-old="false"]').waitFor();

      await service.stop();
      await untilLink(page, "offline");
      await until(async () => /Reconnecting in \d+ s/.test(await textOf(page, ".link")), BOUND);
      await page.getByText("No connection since").waitFor();
      await page.locator('[data-metric="temp_c"][data-old="true"]').waitFor();
      assert.match(await textOf(page, ".seen"), /^Old/);
      // Long enough for a hole that would show: a gap is more than five seconds here.
      const downFrom = Date.now();
      await until(() => Date.now() - downFrom > 7_000, BOUND);

      service = await startService({ sources, settings: { PORT: String(port) } });
      await page.getByRole("button", { name: "Try now" }).click({ timeout: 5_000 }).catch(() => {});
      await untilLink(page, "live");
      await page.locator('[data-metric="temp_c"][data-old="false"]').waitFor();
      const pointsWith = Number(await plot.getAttribute("data-points")) + 2;
      await until(async () => Number(await plot.getAttribute("data-points")) >= pointsWith, BOUND);
      assert.equal(await plot.getAttribute("data-breaks"), "0");
      assert.equal(await page.locator(".banner").count(), 0);
      browser.checkQuiet();
    } finally {
      await service.stop();
    }
  },
});

Deno.test({
  name:
    "While InfluxDB is down the page says so, shows values as old and alerts as live, and recovers",
  ignore: ignore || findInfluxd() === null,
  async fn() {
    await using influxd = await openInfluxd();
    await using postgres = await openPostgres();
    await influxd.createDatabase("telemetry_acme");
    const write = () =>
      influxd.write(
        "telemetry_acme",
        `telemetry,device_id=dev-1 temp_c=21.5 ${BigInt(Date.now()) * 1_000_000n}`,
      );
    await write();
    await using service = await startService({
      settings: {
        INFLUXDB_URL: influxd.url,
        DATABASE_URL: postgres.appUrl,
        WS_POLL_SECONDS: "0.25",
        READ_TIMEOUT_SECONDS: "1",
      },
      sources: (config, log) => openSources(config, { clock: systemClock, log }),
    });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/#token=${await signToken()}`, {
      // A read of a trend that the service had to refuse.
      expected: /503/,
    });
    const row = page.getByRole("row").filter({ hasText: "dev-1" });
    await page.locator('.row[data-health="live"]').waitFor();
    await influxd.kill();
    await untilLink(page, "degraded");
    assert.match(await textOf(page, ".link"), /Telemetry unavailable since \d\d:\d\d:\d\d/);
    await page.getByText(/^Telemetry can't be read since/).waitFor();
    await page.locator('.row[data-health="old"]').waitFor();
    assert.match(await row.innerText(), /Old[\s\S]*21\.5[\s\S]*ago/);
    assert.equal(await page.locator('.count[data-old="true"]').count(), 3);
    await page.getByRole("link", { name: "Alerts" }).click();
    await page.getByText("No open alerts.").waitFor();
    assert.equal(await page.locator(".alerts").getAttribute("data-old"), "false");

    await influxd.restart();
    await page.getByRole("link", { name: "Fleet" }).click();
    await until(async () => {
      await write();
      return await page.locator('.row[data-health="live"]').count() === 1;
    }, BOUND);
    await untilLink(page, "live");
    assert.equal(await page.locator(".banner").count(), 0);
    browser.checkQuiet();
  },
});

Deno.test({
  name: "A pasted token that ends soon is announced, and its end signs out",
  ignore,
  async fn() {
    using fleet = reportingFleet();
    fleet.report("dev-1");
    await using service = await startService({
      sources: fleet.sources,
      settings: { JWT_CLOCK_TOLERANCE_SECONDS: "0" },
    });
    await using browser = await DashboardBrowser.open();
    const exp = Math.ceil(Date.now() / 1_000) + 8;
    const page = await browser.page(`${service.origin}/#token=${await signToken({ exp })}`);
    await page.getByText(/^The access token ends at/).waitFor();
    await page.getByRole("button", { name: "Sign in again" }).waitFor();
    await page.getByRole("alert").waitFor({ timeout: 60_000 });
    assert.match(await textOf(page, "[role=alert]"), /^The token was refused/);
    browser.checkQuiet();
  },
});
