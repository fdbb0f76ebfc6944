// A real Chromium without network, and pages of the dashboard in it. Whatever a page complains about is kept, so that no
// test passes over it; a violation of the policy is a complaint.
import assert from "node:assert/strict";
import "./lenient_exists.ts";
import { type Browser, chromium, type Page } from "playwright-core";

const PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where a Chromium is installed, or null. */
export const chromiumPath: string | null = PATHS.find((path) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}) ?? null;

if (chromiumPath === null) {
  console.log("Chromium is not installed: the dashboard is not looked at in a browser");
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  /** What the page may say on its console without being at fault. */
  readonly expected?: RegExp;
}

export class DashboardBrowser implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #complaints: string[] = [];

  static async open(): Promise<DashboardBrowser> {
    assert.ok(chromiumPath !== null);
    const browser = await chromium.launch({
      executablePath: chromiumPath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    });
    return new DashboardBrowser(browser);
  }

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  /** Opens an address in a tab and a session of its own. */
  async page(address: string, options: PageOptions = {}): Promise<Page> {
    const { width = 1_280, height = 800, colorScheme = "light", expected } = options;
    const context = await this.#browser.newContext({
      viewport: { width, height },
      colorScheme,
      timezoneId: "UTC",
    });
    const page = await context.newPage();
    page.on("pageerror", (error) => this.#complaints.push(`${error.stack}`));
    page.on("console", (message) => {
      const said = `${message.text()} (${message.location().url})`;
      // A reload of the demo's tokens that an installation does not have is told by the browser itself.
      const isKnown = /\/demo\.json/.test(said) || expected?.test(said) === true;
      if (message.type() === "error" && !isKnown) this.#complaints.push(said);
    });
    await page.goto(address);
    return page;
  }

  /** Fails with whatever any page has complained about. */
  checkQuiet(): void {
    assert.deepEqual(this.#complaints, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

/** What the connection's state says, in the word that the page itself goes by. */
export function linkState(page: Page): Promise<string | null> {
  return page.locator(".link").getAttribute("data-state");
}

/** Waits for a state of the connection. */
export async function untilLink(page: Page, state: string): Promise<void> {
  await page.locator(`.link[data-state="${state}"]`).waitFor({ timeout: 30_000 });
}

/** Runs a script's text in the page: tests have no types of a page's world. */
export function inPage<Result>(page: Page, script: string): Promise<Result> {
  return page.evaluate(script) as Promise<Result>;
}
