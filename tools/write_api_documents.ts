// Writes docs/asyncapi.yaml and docs/openapi.yaml from the code. It must be run again whenever a test says so.
import { fileURLToPath } from "node:url";
import { apiDocuments } from "./api/api_documents.ts";

for (const [path, text] of Object.entries(apiDocuments())) {
  await Deno.writeTextFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), text);
}
