// Signs in at an OpenID issuer: authorization code with PKCE, in this tab. The code comes back in the fragment where the
// issuer can do that, and is taken out of the address either way; the verifier never leaves the tab's session storage.
import { text } from "./strings.ts";

export interface OidcConfig {
  readonly issuer: string;
  readonly client_id: string;
  readonly scope: string;
}

export interface OidcTokens {
  readonly token: string;
  readonly refreshToken: string | null;
}

/** Says in the page's words why signing in did not work. */
export class SignInError extends Error {
  override readonly name = "SignInError";
  /** The issuer answered, and does not give what it was asked for. */
  readonly isRefused: boolean;

  constructor(message: string, { isRefused = false } = {}) {
    super(message);
    this.isRefused = isRefused;
  }
}

interface Discovery {
  readonly issuer: string;
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly response_modes_supported?: readonly string[];
}

interface Attempt {
  readonly state: string;
  readonly verifier: string;
  readonly hash: string;
}

const ATTEMPT = "pulsewire.oidc";

/** Leaves the page for the issuer's. */
export async function beginSignIn(oidc: OidcConfig): Promise<void> {
  const discovery = await discover(oidc);
  const attempt: Attempt = { state: randomText(), verifier: randomText(), hash: location.hash };
  sessionStorage.setItem(ATTEMPT, JSON.stringify(attempt));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(attempt.verifier));
  const url = new URL(discovery.authorization_endpoint);
  const modes = discovery.response_modes_supported ?? [];
  const parameters = {
    response_type: "code",
    client_id: oidc.client_id,
    redirect_uri: pageAddress(),
    scope: oidc.scope,
    state: attempt.state,
    code_challenge: base64Url(new Uint8Array(digest)),
    code_challenge_method: "S256",
    ...(modes.includes("fragment") ? { response_mode: "fragment" } : {}),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  location.assign(url.href);
}

/** Takes what the issuer answered out of the address; null where there is no answer in it. */
export function takeAnswer(): URLSearchParams | null {
  const query = new URLSearchParams(location.search);
  const fragment = new URLSearchParams(location.hash.slice(1));
  const answer = [fragment, query].find((one) =>
    one.has("state") && (one.has("code") || one.has("error"))
  );
  if (answer === undefined) return null;
  const { hash = "" } = readAttempt() ?? {};
  history.replaceState(null, "", `${location.pathname}${hash}`);
  return answer;
}

/** Exchanges the code of an answer for tokens. Throws SignInError. */
export async function finishSignIn(
  oidc: OidcConfig,
  answer: URLSearchParams,
): Promise<OidcTokens> {
  const attempt = readAttempt();
  sessionStorage.removeItem(ATTEMPT);
  const error = answer.get("error_description") ?? answer.get("error");
  if (attempt === null || answer.get("state") !== attempt.state) {
    throw new SignInError(text.signIn.stateMismatch);
  }
  if (error !== null) throw new SignInError(error);
  return await askForTokens(oidc, {
    grant_type: "authorization_code",
    code: answer.get("code") ?? "",
    redirect_uri: pageAddress(),
    code_verifier: attempt.verifier,
  });
}

/** Another token of the same person. Throws SignInError. */
export async function refreshTokens(oidc: OidcConfig, refreshToken: string): Promise<OidcTokens> {
  const tokens = await askForTokens(oidc, {
    grant_type: "refresh_token",
    refresh_token: refreshToken,
  });
  return { ...tokens, refreshToken: tokens.refreshToken ?? refreshToken };
}

async function askForTokens(
  oidc: OidcConfig,
  parameters: Readonly<Record<string, string>>,
): Promise<OidcTokens> {
  const { token_endpoint: endpoint } = await discover(oidc);
  const response = await reach(endpoint, {
    method: "POST",
    body: new URLSearchParams({ ...parameters, client_id: oidc.client_id }),
  });
  const body = await response.json().catch(() => ({})) as Record<string, unknown>;
  if (!response.ok) {
    const why = String(body.error_description ?? body.error ?? `HTTP ${response.status}`);
    throw new SignInError(why, { isRefused: [400, 401, 403].includes(response.status) });
  }
  // The service reads JWTs. Where the access token is none, the id token says who it is.
  const token = [body.access_token, body.id_token].find((one) =>
    typeof one === "string" && one.split(".").length === 3
  );
  if (typeof token !== "string") throw new SignInError(text.signIn.noToken);
  const { refresh_token: refreshToken } = body;
  return { token, refreshToken: typeof refreshToken === "string" ? refreshToken : null };
}

async function discover({ issuer }: OidcConfig): Promise<Discovery> {
  const response = await reach(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (!response.ok) throw new SignInError(text.signIn.issuerUnreachable);
  const discovery = await response.json() as Discovery;
  if (discovery.issuer !== issuer) throw new SignInError(text.signIn.issuerUnreachable);
  return discovery;
}

async function reach(address: string, init: RequestInit = {}): Promise<Response> {
  try {
    return await fetch(address, { ...init, credentials: "omit", cache: "no-store" });
  } catch {
    throw new SignInError(text.signIn.issuerUnreachable);
  }
}

function readAttempt(): Attempt | null {
  const stored = sessionStorage.getItem(ATTEMPT);
  return stored === null ? null : JSON.parse(stored) as Attempt;
}

/** Where the issuer sends the answer: registered there, and without anything that varies. */
function pageAddress(): string {
  return `${location.origin}${location.pathname}`;
}

function randomText(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_")
    .replaceAll("=", "");
}
