// The page's state beside the live one: who is signed in, as whom, and which view the address names. It starts and ends
// the connection; it draws nothing.
import { type Signal, signal } from "@preact/signals";
import type { StateDetails } from "../../client/client_events.ts";
import { type DemoTenant, fetchDemoTenants } from "./demo_tenants.ts";
import { LiveTenant } from "./live_tenant.ts";
import {
  beginSignIn,
  finishSignIn,
  type OidcConfig,
  refreshTokens,
  SignInError,
  takeAnswer,
} from "./oidc.ts";
import { parseRoute, type Route } from "./route.ts";
import { ServiceClock } from "./service_clock.ts";
import {
  claimsOf,
  forgetSession,
  keepSession,
  readSession,
  type Session,
  takeFragment,
} from "./session.ts";
import { text } from "./strings.ts";

/** What the service says of itself before anybody is signed in. */
export interface PageConfig {
  readonly oidc: OidcConfig | null;
  readonly stale_seconds: number;
}

const TICK_MS = 1_000;
/** The close code of a token that is not, or no longer, good. */
const TOKEN_REFUSED = 4001;
/** A token is exchanged for another one before its last seconds. */
const REFRESH_MS = 90_000;
const DEFAULT_CONFIG: PageConfig = { oidc: null, stale_seconds: 300 };

export class Dashboard {
  readonly route: Signal<Route> = signal({ view: "fleet" });
  readonly live: Signal<LiveTenant | null> = signal(null);
  readonly tenantName: Signal<string | null> = signal(null);
  readonly demo: Signal<readonly DemoTenant[] | null> = signal(null);
  readonly config: Signal<PageConfig> = signal(DEFAULT_CONFIG);
  /** Why nobody is signed in any more. */
  readonly reason: Signal<string | null> = signal(null);
  readonly isBusy: Signal<boolean> = signal(true);
  /** When a token that can't be renewed ends. */
  readonly endsMs: Signal<number | null> = signal(null);
  /** By the service's clock; moves once a second. */
  readonly nowMs: Signal<number> = signal(Date.now());
  readonly #base = new URL(".", document.baseURI);
  readonly #clock = new ServiceClock();
  #session: Session | null = null;
  #refreshing: Promise<string | null> | null = null;
  /** What the service refused, and whether the one that came in its place was never let in. */
  #refused: { readonly token: string; isReplaced: boolean } | null = null;

  async start(): Promise<void> {
    const answer = takeAnswer();
    const given = takeFragment();
    if (given !== null) keepSession(given);
    this.route.value = parseRoute(location.hash);
    addEventListener("hashchange", () => this.#moved());
    setInterval(() => void (this.nowMs.value = this.#clock.now()), TICK_MS);
    this.config.value = await this.#fetchConfig();
    const { oidc } = this.config.value;
    if (answer !== null && oidc !== null) await this.#finish(oidc, answer);
    const session = readSession();
    if (session === null || session.kind === "demo") {
      this.demo.value = await fetchDemoTenants(this.#base);
    }
    this.isBusy.value = false;
    const [first] = this.demo.value ?? [];
    if (this.demo.value !== null && first !== undefined) {
      const chosen = session?.kind === "demo" ? session.tenantId : first.tenant_id;
      const tenant = this.demo.value.find(({ tenant_id: id }) => id === chosen) ?? first;
      this.#open({ kind: "demo", tenantId: tenant.tenant_id });
    } else if (session !== null && session.kind !== "demo") this.#open(session);
  }

  signInWith(token: string): void {
    this.#open({ kind: "token", token });
  }

  async signInWithProvider(): Promise<void> {
    const { oidc } = this.config.value;
    if (oidc === null) return;
    this.isBusy.value = true;
    try {
      await beginSignIn(oidc);
    } catch (error) {
      this.#failed(error);
    }
    this.isBusy.value = false;
  }

  chooseTenant(tenantId: string): void {
    this.#open({ kind: "demo", tenantId });
  }

  signOut(reason: string | null = null): void {
    this.live.value?.[Symbol.dispose]();
    this.live.value = null;
    this.#session = null;
    this.#refused = null;
    this.endsMs.value = null;
    this.tenantName.value = null;
    forgetSession();
    this.reason.value = reason;
  }

  #open(session: Session): void {
    this.live.value?.[Symbol.dispose]();
    this.#session = session;
    this.#refused = null;
    keepSession(session);
    this.reason.value = null;
    const { tenantId, expiresMs } = session.kind === "demo"
      ? { tenantId: session.tenantId, expiresMs: null }
      : claimsOf(session.token);
    this.endsMs.value = session.kind === "token" ? expiresMs : null;
    this.tenantName.value = tenantId;
    this.live.value = new LiveTenant({
      base: this.#base,
      token: session.kind === "token" ? session.token : () => this.#token(),
      clock: this.#clock,
      onUnauthorized: (details) => this.#unauthorized(details),
      onLive: () => void (this.#refused = null),
    });
  }

  /** A token ends while a machine sleeps: where another one can be had, that is no reason to sign anybody out. */
  #unauthorized({ reason, closeCode }: StateDetails): void {
    const session = this.#session;
    // A demo that was started again has another secret, and another token for whoever asks.
    if (session === null || session.kind === "demo") return;
    const canRefresh = session.kind === "oidc" && session.refreshToken !== null &&
      closeCode === TOKEN_REFUSED && this.#refused?.isReplaced !== true;
    if (canRefresh) this.#refused ??= { token: session.token, isReplaced: false };
    else this.signOut(text.signIn.refused(reason ?? ""));
  }

  /** One answer for all who ask at once: a refresh token is good once. */
  #token(): Promise<string | null> {
    return this.#refreshing ??= this.#freshToken().finally(() => {
      this.#refreshing = null;
    });
  }

  async #freshToken(): Promise<string | null> {
    const session = this.#session;
    if (session?.kind === "demo") {
      const tenants = await fetchDemoTenants(this.#base);
      if (tenants === null) throw new Error("The demo gives no token at present");
      return tenants.find(({ tenant_id: id }) => id === session.tenantId)?.token ?? null;
    }
    if (session?.kind !== "oidc") return session?.token ?? null;
    const { oidc } = this.config.value;
    const { expiresMs } = claimsOf(session.token);
    const leftMs = (expiresMs ?? 0) - this.#clock.now();
    const isRefused = this.#refused?.token === session.token;
    const isFresh = !isRefused && leftMs > REFRESH_MS;
    if (isFresh || oidc === null || session.refreshToken === null) return session.token;
    try {
      const renewed: Session = {
        kind: "oidc",
        ...await refreshTokens(oidc, session.refreshToken),
      };
      if (this.#session === session) {
        this.#session = renewed;
        keepSession(renewed);
        if (this.#refused !== null) this.#refused.isReplaced = true;
      }
      return renewed.token;
    } catch (error) {
      if (!(error instanceof SignInError && error.isRefused)) throw error;
      if (!isRefused && leftMs > 0) return session.token;
      if (this.#session === session) this.signOut(text.signIn.failed(error.message));
      return null;
    }
  }

  async #finish(oidc: OidcConfig, answer: URLSearchParams): Promise<void> {
    try {
      keepSession({ kind: "oidc", ...await finishSignIn(oidc, answer) });
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const why = error instanceof SignInError ? error.message : String(error);
    this.reason.value = text.signIn.failed(why);
  }

  #moved(): void {
    const given = takeFragment();
    if (given !== null) this.#open(given);
    this.route.value = parseRoute(location.hash);
  }

  async #fetchConfig(): Promise<PageConfig> {
    try {
      const response = await fetch(new URL("dashboard/config.json", this.#base), {
        cache: "no-store",
      });
      return response.ok ? await response.json() as PageConfig : DEFAULT_CONFIG;
    } catch {
      return DEFAULT_CONFIG;
    }
  }
}
