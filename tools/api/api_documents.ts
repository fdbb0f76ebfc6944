// The documents that are made from the code, as text by their path.
import { stringify } from "yaml";
import { asyncapiDocument } from "./asyncapi_document.ts";
import { openapiDocument } from "./openapi_document.ts";

const HEAD = "# Made from the code by `deno task docs:api`: change the code and run it again.\n";

export function apiDocuments(): Readonly<
  Record<"docs/asyncapi.yaml" | "docs/openapi.yaml", string>
> {
  return {
    "docs/asyncapi.yaml": textOf(asyncapiDocument()),
    "docs/openapi.yaml": textOf(openapiDocument()),
  };
}

/** Without aliases, and without words that older readers of YAML take for something else than text. */
function textOf(document: object): string {
  return HEAD +
    stringify(document, { aliasDuplicateObjects: false, compat: "yaml-1.1", lineWidth: 100 });
}
