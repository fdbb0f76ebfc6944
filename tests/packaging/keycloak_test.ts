// Holds the realm that operators import to what the service asks of a token. Keycloak itself is not run: what its mappers
// would write is signed by an issuer on loopback, and goes through discovery and the key set.
import assert from "node:assert/strict";
import { parse } from "yaml";
import { LoopbackIssuer } from "../auth/loopback_issuer.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { startService } from "../support/service.ts";
import { generateSigner, signToken } from "../support/tokens.ts";
import { TestClient } from "../support/client.ts";
import { readExample } from "./example_file.ts";

interface Mapper {
  readonly protocolMapper: string;
  readonly config: Readonly<Record<string, string>>;
}

interface Client {
  readonly clientId: string;
  readonly publicClient: boolean;
  readonly standardFlowEnabled: boolean;
  readonly implicitFlowEnabled: boolean;
  readonly directAccessGrantsEnabled: boolean;
  readonly redirectUris: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
  readonly defaultClientScopes: readonly string[];
}

interface Realm {
  readonly realm: string;
  readonly accessTokenLifespan: number;
  readonly groups: readonly {
    readonly name: string;
    readonly attributes: Readonly<Record<string, readonly string[]>>;
  }[];
  readonly clientScopes: readonly {
    readonly name: string;
    readonly protocolMappers: readonly Mapper[];
  }[];
  readonly clients: readonly Client[];
  readonly users: readonly {
    readonly username: string;
    readonly email: string;
    readonly realmRoles: readonly string[];
    readonly groups: readonly string[];
  }[];
}

const realm = JSON.parse(readExample("ops/keycloak/iot-realm.json")) as Realm;
const dashboard = realm.clients.find(({ clientId }) =>
  clientId === "pulsewire-dashboard"
) as Client;

/** The claims that Keycloak's mappers would write for a user of a client. */
function claimsOf(username: string, client: Client): Record<string, unknown> {
  const user = realm.users.find((one) => one.username === username);
  assert.ok(user);
  const group = realm.groups.find(({ name }) => user.groups.includes(`/${name}`));
  const claims: Record<string, unknown> = {};
  for (const name of client.defaultClientScopes) {
    const scope = realm.clientScopes.find((one) => one.name === name);
    assert.ok(scope, `client scope ${name} is not defined`);
    for (const { protocolMapper, config } of scope.protocolMappers) {
      if (config["access.token.claim"] !== "true") continue;
      const claim = config["claim.name"] ?? "";
      switch (protocolMapper) {
        case "oidc-sub-mapper":
          claims.sub = `id-of-${username}`;
          break;
        case "oidc-audience-mapper":
          claims.aud = config["included.custom.audience"];
          break;
        case "oidc-usermodel-realm-role-mapper":
          claims[claim] = config.multivalued === "true" ? user.realmRoles : user.realmRoles[0];
          break;
        case "oidc-usermodel-attribute-mapper": {
          const attribute = config["user.attribute"] ?? "";
          claims[claim] = attribute === "email" ? user.email : group?.attributes[attribute]?.[0];
          break;
        }
        default:
          assert.fail(`what does ${protocolMapper} write?`);
      }
    }
  }
  return claims;
}

Deno.test("A token with the claims of the imported realm is let in by discovery, as its group's tenant", async () => {
  const signer = await generateSigner("RS256", "key-1");
  await using issuer = new LoopbackIssuer([signer.jwk]);
  const sources = fakeSources();
  // As the manifests set it; every claim's name is the default.
  await using service = await startService({
    sources,
    settings: { OIDC_ISSUER: issuer.issuer, JWT_AUDIENCE: "pulsewire" },
  });
  for (const { username, groups: [group = ""] } of realm.users) {
    const claims = { ...claimsOf(username, dashboard), iss: issuer.issuer, tid: undefined };
    const token = await signToken(
      { tenant_id: undefined, role: undefined, email: undefined, sub: undefined, ...claims },
      { signer },
    );
    await using client = await TestClient.connect(service.socketUrl(token));
    assert.equal((await client.subscribe("dev-1")).type, "subscribed");
    const connected = service.log.of("connected").at(-1)?.fields;
    assert.equal(connected?.tenant, group.slice(1));
  }
  assert.ok(realm.users.length >= 2);

  const claims = { ...claimsOf("viewer-acme", dashboard), iss: issuer.issuer, aud: "account" };
  const foreign = await signToken(claims, { signer });
  await using refused = await TestClient.connect(service.socketUrl(foreign));
  assert.equal((await refused.closed).code, 4001);
});

Deno.test("The realm's client for the dashboard is public with PKCE, and goes back to the dashboard alone", () => {
  assert.equal(dashboard.publicClient, true);
  assert.equal(dashboard.standardFlowEnabled, true);
  assert.equal(dashboard.implicitFlowEnabled, false);
  assert.equal(dashboard.directAccessGrantsEnabled, false);
  assert.equal(dashboard.attributes?.["pkce.code.challenge.method"], "S256");
  for (const uri of dashboard.redirectUris) {
    assert.equal(new URL(uri).pathname, "/");
    assert.ok(!uri.includes("*"), uri);
  }
  assert.ok(realm.accessTokenLifespan <= 900, "nobody is asked until a token ends");
});

Deno.test("The compose file's profile imports the realm, under the one name that everybody knows it by", () => {
  const { services } = parse(readExample("compose.yaml"));
  const { keycloak, pulsewire } = services;
  assert.deepEqual(keycloak.profiles, ["keycloak"]);
  assert.match(keycloak.image, /^quay\.io\/keycloak\/keycloak:\d+\.\d+\.\d+$/);
  assert.ok(keycloak.command.includes("--import-realm"));
  const [source, target] = keycloak.volumes[0].split(":");
  assert.equal(source, "./ops/keycloak/iot-realm.json");
  assert.match(target, /^\/opt\/keycloak\/data\/import\/.*\.json$/);
  const { hostname, port } = new URL(keycloak.environment.KC_HOSTNAME);
  assert.deepEqual(keycloak.networks.default.aliases, [hostname]);
  assert.match(hostname, /\.localhost$/);
  assert.ok(keycloak.ports.includes(`127.0.0.1:${port}:${port}`));
  // Empty must count as not set, or both kinds of keys would be.
  assert.match(pulsewire.environment.JWT_SECRET, /^\$\{JWT_SECRET-/);
  const command = `OIDC_ISSUER=${keycloak.environment.KC_HOSTNAME}/realms/${realm.realm}`;
  const document = readExample("docs/OPERATIONS.md");
  assert.ok(document.includes(command), "docs/OPERATIONS.md names another issuer");
  assert.ok(document.includes(`OIDC_CLIENT_ID=${dashboard.clientId}`));
});
