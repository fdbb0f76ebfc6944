// Holds docs/asyncapi.yaml and docs/openapi.yaml to the code that they are made from, and to what their official parsers
// make of them.
import SwaggerParser from "@apidevtools/swagger-parser";
// @ts-types="./asyncapi_parser.d.ts"
import { Parser } from "@asyncapi/parser";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { PAGE_CONFIG_PATH } from "../../src/dashboard/page_file.ts";
import { METRICS_PATH } from "../../src/http/metrics_page.ts";
import { SOCKET_PATH } from "../../src/http/routes.ts";
import { SERVER_SCHEMAS } from "../../src/protocol/server_schemas.ts";
import { apiDocuments } from "../../tools/api/api_documents.ts";
import { messageFault } from "../support/message_fault.ts";
import { importsOf, readSources } from "../support/read_imports.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => Deno.readTextFileSync(`${root}/${path}`);
const sources = await readSources(`${root}/src`, { root });

const NAMED_PATHS: Readonly<Record<string, string>> = {
  METRICS_PATH,
  SOCKET_PATH,
  PAGE_CONFIG_PATH,
};

for (const [path, text] of Object.entries(apiDocuments())) {
  Deno.test(`${path} is what the code makes of itself`, () => {
    // The formatter may break lines elsewhere; what it says, in which order, is the same.
    assert.equal(
      JSON.stringify(parse(read(path)), null, 1),
      JSON.stringify(parse(text), null, 1),
      `Run deno task docs:api`,
    );
  });
}

Deno.test("The parser of AsyncAPI finds nothing wrong, examples included", async () => {
  const { document, diagnostics } = await new Parser().parse(read("docs/asyncapi.yaml"));
  // The document keeps to the version that most tools read.
  const found = diagnostics.filter(({ code }) => code !== "asyncapi-latest-version");
  assert.deepEqual(found.map(({ path, message }) => `${path.join(".")}: ${message}`), []);
  assert.equal(document?.version(), "3.0.0");
  assert.equal(document?.operations().length, 10);
});

Deno.test("The parser of OpenAPI finds nothing wrong", async () => {
  const document = await SwaggerParser.validate(parse(read("docs/openapi.yaml")));
  assert.ok("openapi" in document && document.openapi === "3.1.0");
});

Deno.test("Every route of the service is described, and no other", () => {
  const described = Object.keys(parse(read("docs/openapi.yaml")).paths);
  const registered = new Set<string>();
  for (const [path, text] of sources) {
    if (!path.startsWith("src/http/")) continue;
    const below = path === "src/http/routes.ts" ? "" : "/api/v2";
    const calls = /\b(?:app\.(?:get|post|put|delete)|read)\(\s*("[^"*]+"|[A-Z_]+_PATH)/g;
    for (const [, named = ""] of text.matchAll(calls)) {
      const route = NAMED_PATHS[named] ?? below + named.slice(1, -1);
      registered.add(route.replace(/:(\w+)/g, "{$1}"));
    }
  }
  // The page asks for it, and nobody else.
  registered.delete(PAGE_CONFIG_PATH);
  assert.deepEqual(described.toSorted(), [...registered].toSorted());
});

Deno.test("Nothing that runs imports the schemas of what the service sends", () => {
  const importers = [...sources].flatMap(([path, text]) =>
    importsOf(path, text).filter(({ to }) => to === "src/protocol/server_schemas.ts")
  );
  assert.deepEqual(importers, []);
});

Deno.test("What a test receives is held to the schemas: kinds, names and order", () => {
  assert.equal(messageFault('{"type":"pong","id":1}'), null);
  assert.match(messageFault('{"type":"pong","id":{}}') ?? "", /id/);
  assert.match(messageFault('{"type":"pong","extra":1}') ?? "", /unknown/);
  assert.match(messageFault('{"id":1,"type":"pong"}') ?? "", /order/);
  assert.match(messageFault('{"type":"applause"}') ?? "", /No such message/);
  assert.ok(Object.keys(SERVER_SCHEMAS).length > 10);
});
