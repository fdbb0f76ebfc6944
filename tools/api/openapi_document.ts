// The HTTP routes as an OpenAPI document, made from the schemas that the code reads requests with and from its table of
// errors. The page's own files are no part of it.
import manifest from "../../deno.json" with { type: "json" };
import { headersOf, REQUEST_ERRORS, type RequestErrorCode } from "../../src/errors.ts";
import { LIMITS } from "../../src/limits/limits.ts";
import { HTTP_ANSWERS } from "./http_answers.ts";
import { HTTP_EXAMPLES, type HttpExample, type OperationKey, problemOf } from "./http_examples.ts";
import { namedSchemas } from "./json_schemas.ts";
import { type Operation, OPERATIONS } from "./openapi_operations.ts";

const PROBLEM = "application/problem+json";

/** What a problem says beside its title where it is the usual one. */
const DETAILS: Partial<Record<RequestErrorCode, string>> = {
  too_many_requests: sentenceOf("handshakes_per_second"),
  too_many_connections: sentenceOf("connections_per_user"),
};
/** Those that each route has examples of its own for, and the one that nobody can ask for. */
const WITHOUT_COMMON_EXAMPLE: ReadonlySet<RequestErrorCode> = new Set([
  "invalid_parameter",
  "invalid_device_id",
  "internal",
]);

const keys = Object.keys(OPERATIONS) as OperationKey[];

export function openapiDocument(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const key of keys) {
    const [method = "", path = ""] = key.split(" ");
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(key) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Pulsewire over HTTP",
      version: manifest.version,
      license: { name: manifest.license, identifier: manifest.license },
      description: "A tenant's telemetry and alerts, read once or as server-sent events. " +
        "PROTOCOL.md is the norm; this document says the same for tools. Whatever can be read " +
        "answers HEAD and OPTIONS, too, and other methods with 405. `x-max-bytes` bounds a " +
        "string's length in UTF-8.",
    },
    servers: [{ url: "http://localhost:8000" }],
    tags: [
      { name: "feed", description: "What is pushed" },
      { name: "reads", description: "What is read once" },
      { name: "operations", description: "For those who run the service" },
    ],
    paths,
    components: {
      schemas: usedSchemas(),
      examples: commonExamples(),
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        query_token: { type: "apiKey", name: "token", in: "query" },
        ticket: { type: "apiKey", name: "ticket", in: "query" },
      },
    },
  };
}

function usedSchemas() {
  const { Resume: _, ...schemas } = namedSchemas(HTTP_ANSWERS, "draft-2020-12");
  return schemas;
}

function operation(key: OperationKey): object {
  const { tag, answers, problems, parameters, ...rest } = OPERATIONS[key];
  const examples: readonly HttpExample[] = HTTP_EXAMPLES[key];
  return {
    ...rest,
    tags: [tag],
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: {
      ...Object.fromEntries(
        Object.entries(answers).map(([status, body]) => [
          status,
          answer(Number(status), { body, examples }),
        ]),
      ),
      ...problemResponses(problems, examples),
    },
  };
}

const MEANINGS: Readonly<Record<number, string>> = {
  101: "The socket is open; a refused client may be let in and closed at once",
  200: "As asked",
  426: "The request asked for no WebSocket",
  503: "Not ready",
};

function answer(
  status: number,
  { body, examples }: {
    readonly body: Operation["answers"][number];
    readonly examples: readonly HttpExample[];
  },
): object {
  const description = MEANINGS[status];
  if (body === null || body === undefined) return { description };
  const shown = examplesOf(examples.filter((example) => example.status === status));
  const isText = body === "text" || body === "events";
  const type = body === "text"
    ? "text/plain"
    : body === "events"
    ? "text/event-stream"
    : "application/json";
  const schema = isText ? { type: "string" } : { $ref: `#/components/schemas/${body}` };
  return {
    description,
    content: {
      [type]: { schema, ...(Object.keys(shown).length === 0 ? {} : { examples: shown }) },
    },
  };
}

/** Problems by their status: several codes may have the same. */
function problemResponses(
  codes: readonly RequestErrorCode[],
  examples: readonly HttpExample[],
): Record<string, object> {
  const responses: Record<string, object> = {};
  const byStatus = Map.groupBy(codes, (code) => REQUEST_ERRORS[code].status);
  for (const [status, ofStatus] of byStatus) {
    const headers = new Set(ofStatus.flatMap((code) => Object.keys(headersOf(code))));
    const shown = {
      ...Object.fromEntries(
        ofStatus.filter((code) => !WITHOUT_COMMON_EXAMPLE.has(code)).map((code) => [
          code,
          { $ref: `#/components/examples/${code}` },
        ]),
      ),
      ...examplesOf(examples.filter((example) => example.status === status)),
    };
    responses[status] = {
      description: ofStatus.map((code) => `\`${code}\`: ${REQUEST_ERRORS[code].sentence}`)
        .join("; "),
      ...(headers.size === 0 ? {} : {
        headers: Object.fromEntries(
          [...headers].map((name) => [headerName(name), { schema: { type: "string" } }]),
        ),
      }),
      content: {
        [PROBLEM]: {
          schema: { $ref: "#/components/schemas/Problem" },
          ...(Object.keys(shown).length === 0 ? {} : { examples: shown }),
        },
      },
    };
  }
  return responses;
}

function examplesOf(examples: readonly HttpExample[]) {
  return Object.fromEntries(
    examples.map(({ name, summary, value, request }) => [
      name,
      { summary, value, "x-request": request },
    ]),
  );
}

function commonExamples() {
  const codes = new Set(keys.flatMap((key) => OPERATIONS[key].problems));
  return Object.fromEntries(
    [...codes].filter((code) => !WITHOUT_COMMON_EXAMPLE.has(code)).map((code) => {
      const { sentence, status } = REQUEST_ERRORS[code];
      const detail = DETAILS[code];
      const value = problemOf(code, {
        title: sentence,
        status,
        ...(detail === undefined ? {} : { detail }),
      });
      return [code, { summary: sentence, value }];
    }),
  );
}

function sentenceOf(limit: "handshakes_per_second" | "connections_per_user"): string {
  const { sentence, fallback } = LIMITS[limit];
  return sentence.replace("{value}", String(fallback));
}

function headerName(name: string): string {
  return name === "retry-after" ? "Retry-After" : "WWW-Authenticate";
}
