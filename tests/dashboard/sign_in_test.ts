// Signing in at an OpenID issuer: code with PKCE, in a real browser and against a real issuer's answers.
import assert from "node:assert/strict";
import { startService } from "../support/service.ts";
import { generateSigner, type Signer, signToken } from "../support/tokens.ts";
import { chromiumPath, DashboardBrowser, inPage, untilLink } from "./browser.ts";
import { reportingFleet } from "./fleet_fixture.ts";

const ignore = chromiumPath === null;

interface Issuer extends AsyncDisposable {
  readonly issuer: string;
  readonly grants: readonly URLSearchParams[];
  readonly authorizations: readonly URLSearchParams[];
}

/** Signs everybody in who comes with a challenge, and gives a token to whoever knows its verifier. */
async function openIssuer(
  signer: Signer,
  { modes, lifetimeSeconds = 3_600, refreshes = true }: {
    readonly modes: readonly string[];
    readonly lifetimeSeconds?: number;
    readonly refreshes?: boolean;
  },
): Promise<Issuer> {
  const grants: URLSearchParams[] = [];
  const authorizations: URLSearchParams[] = [];
  const cors = { "access-control-allow-origin": "*" };
  const codes = new Map<string, string>();
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const url = new URL(request.url);
      const issuer = `http://127.0.0.1:${server.addr.port}/realm`;
      switch (url.pathname) {
        case "/realm/.well-known/openid-configuration":
          return Response.json({
            issuer,
            jwks_uri: `${issuer}/certs`,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            response_modes_supported: modes,
          }, { headers: cors });
        case "/realm/certs":
          return Response.json({ keys: [signer.jwk] });
        case "/realm/authorize": {
          authorizations.push(url.searchParams);
          const code = crypto.randomUUID();
          codes.set(code, url.searchParams.get("code_challenge") ?? "");
          const back = new URL(url.searchParams.get("redirect_uri") ?? "");
          const answer = new URLSearchParams({ code, state: url.searchParams.get("state") ?? "" });
          if (modes.includes("fragment")) back.hash = answer.toString();
          else back.search = answer.toString();
          return Response.redirect(back, 302);
        }
        case "/realm/token": {
          const grant = new URLSearchParams(await request.text());
          grants.push(grant);
          if (grant.get("grant_type") === "authorization_code") {
            const verifier = new TextEncoder().encode(grant.get("code_verifier") ?? "");
            const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", verifier));
            const challenge = digest.toBase64({ alphabet: "base64url", omitPadding: true });
            if (codes.get(grant.get("code") ?? "") !== challenge) {
              return Response.json({ error: "invalid_grant" }, { status: 400, headers: cors });
            }
          }
          if (grant.get("grant_type") === "refresh_token" && !refreshes) {
            const refusal = { error: "invalid_grant", error_description: "Session has ended" };
            return Response.json(refusal, { status: 400, headers: cors });
          }
          const exp = Math.ceil(Date.now() / 1_000) + lifetimeSeconds;
          return Response.json({
            access_token: await signToken({ iss: issuer, exp }, { signer }),
            refresh_token: "again",
          }, { headers: cors });
        }
        default:
          return new Response("not found", { status: 404 });
      }
    },
  );
  return {
    issuer: `http://127.0.0.1:${server.addr.port}/realm`,
    grants,
    authorizations,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

for (const modes of [["query", "fragment"], ["query"]]) {
  Deno.test({
    name: `An issuer that answers by ${
      modes.at(-1)
    } signs in, and nothing of it stays in the address`,
    ignore,
    async fn() {
      const signer = await generateSigner("RS256", "k1");
      await using issuer = await openIssuer(signer, { modes });
      using fleet = reportingFleet();
      fleet.report("dev-1");
      await using service = await startService({
        sources: fleet.sources,
        settings: {
          OIDC_ISSUER: issuer.issuer,
          OIDC_CLIENT_ID: "dashboard",
          OIDC_SCOPE: "openid telemetry",
        },
      });
      await using browser = await DashboardBrowser.open();
      const page = await browser.page(`${service.origin}/#/device/dev-1`);
      await page.getByRole("button", { name: "Sign in with your organisation" }).click();
      await page.getByRole("heading", { name: "dev-1" }).waitFor();
      await untilLink(page, "live");
      assert.equal(await inPage(page, "location.href"), `${service.origin}/#/device/dev-1`);
      const [asked] = issuer.authorizations;
      assert.equal(asked?.get("client_id"), "dashboard");
      assert.equal(asked?.get("scope"), "openid telemetry");
      assert.equal(asked?.get("code_challenge_method"), "S256");
      assert.deepEqual(issuer.grants.map((grant) => grant.get("grant_type")), [
        "authorization_code",
      ]);
      browser.checkQuiet();
    },
  });
}

Deno.test({
  name: "A token that is about to end is exchanged for another one before it is shown",
  ignore,
  async fn() {
    const signer = await generateSigner("RS256", "k1");
    // Shorter than what is left to a token at least: each use asks for another one.
    await using issuer = await openIssuer(signer, { modes: ["fragment"], lifetimeSeconds: 80 });
    using fleet = reportingFleet();
    fleet.report("dev-1");
    await using service = await startService({
      sources: fleet.sources,
      settings: { OIDC_ISSUER: issuer.issuer, OIDC_CLIENT_ID: "dashboard" },
    });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(service.origin);
    await page.getByRole("button", { name: "Sign in with your organisation" }).click();
    await page.getByRole("link", { name: "dev-1" }).waitFor();
    assert.equal(issuer.grants[1]?.get("grant_type"), "refresh_token");
    assert.equal(issuer.grants[1]?.get("refresh_token"), "again");
    browser.checkQuiet();
  },
});

Deno.test({
  name: "An answer that this tab did not ask for signs nobody in",
  ignore,
  async fn() {
    const signer = await generateSigner("RS256", "k1");
    await using issuer = await openIssuer(signer, { modes: ["query"] });
    using fleet = reportingFleet();
    await using service = await startService({
      sources: fleet.sources,
      settings: { OIDC_ISSUER: issuer.issuer, OIDC_CLIENT_ID: "dashboard" },
    });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page(`${service.origin}/?code=stolen&state=made-up`);
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /does not belong to this tab/);
    assert.equal(await inPage(page, "location.search"), "");
    assert.deepEqual(issuer.grants, []);
    browser.checkQuiet();
  },
});

Deno.test({
  name: "A token that ended while the machine slept is exchanged, and nobody is signed out",
  ignore,
  async fn() {
    const signer = await generateSigner("RS256", "k1");
    await using issuer = await openIssuer(signer, { modes: ["fragment"] });
    using fleet = reportingFleet();
    fleet.report("dev-1");
    await using service = await startService({
      sources: fleet.sources,
      settings: { OIDC_ISSUER: issuer.issuer, OIDC_CLIENT_ID: "dashboard" },
    });
    await using browser = await DashboardBrowser.open();
    const page = await browser.page("about:blank");
    let refusals = 1;
    await page.routeWebSocket(/api\/v2\/ws/, (socket) => {
      if (refusals-- > 0) void socket.close({ code: 4001, reason: "Invalid or expired token" });
      else socket.connectToServer();
    });
    await page.goto(service.origin);
    await page.getByRole("button", { name: "Sign in with your organisation" }).click();
    await page.getByRole("link", { name: "dev-1" }).waitFor();
    const grants = () => issuer.grants.map((grant) => grant.get("grant_type"));
    assert.deepEqual(grants(), ["authorization_code", "refresh_token"]);

    // One that is refused as well is no matter of time.
    refusals = Number.POSITIVE_INFINITY;
    await page.reload();
    await page.getByRole("alert").waitFor();
    assert.match(await page.getByRole("alert").innerText(), /^The token was refused: .*token/);
    assert.equal(grants().length, 3);
    browser.checkQuiet();
  },
});

Deno.test({
  name: "An issuer whose session has ended is told, and what is left of the token is used",
  ignore,
  async fn() {
    const signer = await generateSigner("RS256", "k1");
    const modes = ["fragment"];
    for (const lifetimeSeconds of [80, -60]) {
      await using issuer = await openIssuer(signer, { modes, lifetimeSeconds, refreshes: false });
      using fleet = reportingFleet();
      fleet.report("dev-1");
      await using service = await startService({
        sources: fleet.sources,
        settings: { OIDC_ISSUER: issuer.issuer, OIDC_CLIENT_ID: "dashboard" },
      });
      await using browser = await DashboardBrowser.open();
      const page = await browser.page(service.origin, { expected: /status of 400/ });
      await page.getByRole("button", { name: "Sign in with your organisation" }).click();
      if (lifetimeSeconds > 0) await page.getByRole("link", { name: "dev-1" }).waitFor();
      else {
        await page.getByRole("alert").waitFor();
        const said = await page.getByRole("alert").innerText();
        assert.equal(said, "Signing in failed: Session has ended");
      }
      browser.checkQuiet();
    }
  },
});
