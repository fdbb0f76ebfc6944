// The socket's messages as an AsyncAPI document, made from the schemas that the code reads and checks with.
import manifest from "../../deno.json" with { type: "json" };
import { SOCKET_PATH } from "../../src/http/routes.ts";
import { SERVER_SCHEMAS } from "../../src/protocol/server_schemas.ts";
import { CLIENT_EXAMPLES } from "./client_examples.ts";
import { ERROR_EXAMPLES } from "./error_examples.ts";
import { closingTable, errorTable, limitTable } from "./fault_tables.ts";
import {
  type ClientMessageName,
  clientPayloads,
  namedSchemas,
  type ServerMessageName,
} from "./json_schemas.ts";
import { PUSH_EXAMPLES } from "./push_examples.ts";

const CLIENT_SUMMARIES: Readonly<Record<ClientMessageName, string>> = {
  subscribe_device: "Follows devices, from now or from an instant on",
  subscribe_alerts: "Follows the open alerts of the tenant",
  subscribe_fleet: "Follows how many devices and alerts there are",
  unsubscribe_device: "Follows devices no more",
  unsubscribe_alerts: "Follows alerts no more",
  unsubscribe_fleet: "Follows the counts no more",
  ping: "Asks whether the service still hears",
  hello: "Asks for features, and reads what the service is like",
  auth: "Goes on with another token of the same tenant and user",
};

const SERVER_SUMMARIES: Readonly<Record<ServerMessageName, string>> = {
  subscribed: "The subscription is in the feed, and begins where this says",
  unsubscribed: "Nothing of this follows any more",
  pong: "The service hears",
  hello: "The features that are in force now, and the limits",
  authenticated: "The new token counts, until this instant",
  error: "A message could not be taken; the socket and its subscriptions stay as they were",
  telemetry: "A sample of a followed device",
  alerts: "All open alerts, in the place of the list before",
  alert_changes: "What changed in the open alerts since the message before",
  fleet: "How many devices and alerts there are",
  history: "A page of stored samples that a subscription asked for",
  batch: "All pushes of one read together; only with the feature `batch`",
  token_expiring: "The token, and the socket with it, ends soon; only with `notices`",
  reconnect: "The service is about to leave; only with `notices`",
  status: "A source can't be read, or can be read again; only with `notices`",
  stale: "A followed device is silent; only with `notices`",
};

/** What may answer each message of a client. */
const ANSWERS: Readonly<Record<ClientMessageName, ServerMessageName>> = {
  subscribe_device: "subscribed",
  subscribe_alerts: "subscribed",
  subscribe_fleet: "subscribed",
  unsubscribe_device: "unsubscribed",
  unsubscribe_alerts: "unsubscribed",
  unsubscribe_fleet: "unsubscribed",
  ping: "pong",
  hello: "hello",
  auth: "authenticated",
};

const clientNames = Object.keys(CLIENT_SUMMARIES) as ClientMessageName[];
const serverNames = Object.keys(SERVER_SUMMARIES) as ServerMessageName[];
const pushNames = Object.keys(PUSH_EXAMPLES) as Array<keyof typeof PUSH_EXAMPLES>;

const channel = { $ref: "#/channels/socket" };
const inChannel = (name: string) => ({ $ref: `#/channels/socket/messages/${name}` });

export function asyncapiDocument(): object {
  const messages = {
    ...clientMessages(),
    ...Object.fromEntries(
      serverNames.map((name) => [`server_${name}`, serverMessage(name)]),
    ),
  };
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Pulsewire socket",
      version: manifest.version,
      license: { name: manifest.license },
      description: "Telemetry and alerts of a tenant's devices, live, over one WebSocket. " +
        "PROTOCOL.md is the norm; this document says the same for tools. Both sides ignore " +
        "fields that they don't know. `x-max-bytes` bounds a string's length in UTF-8.",
    },
    defaultContentType: "application/json",
    servers: servers(),
    channels: {
      socket: {
        address: SOCKET_PATH,
        title: "Socket",
        description: "One JSON object a text frame, in both directions",
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
        bindings: {
          ws: {
            method: "GET",
            query: {
              type: "object",
              properties: {
                token: { type: "string", description: "A token; one credential, in one place" },
                ticket: { type: "string", description: "What a token was changed for" },
              },
            },
            bindingVersion: "0.1.0",
          },
        },
        "x-closings": closingTable(),
        "x-limits": limitTable(),
      },
    },
    operations: operations(),
    components: {
      messages,
      schemas: namedSchemas(SERVER_SCHEMAS, "draft-7"),
      securitySchemes: {
        query_token: { type: "httpApiKey", name: "token", in: "query" },
        ticket: { type: "httpApiKey", name: "ticket", in: "query" },
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
        subprotocol: {
          type: "httpApiKey",
          name: "Sec-WebSocket-Protocol",
          in: "header",
          description: "`pulsewire, bearer.<token>`; the service selects `pulsewire`",
        },
      },
    },
  };
}

function servers() {
  const security = ["query_token", "ticket", "bearer", "subprotocol"].map((name) => ({
    $ref: `#/components/securitySchemes/${name}`,
  }));
  return {
    local: { host: "localhost:8000", protocol: "ws", security },
    public: {
      host: "{host}",
      protocol: "wss",
      variables: { host: { default: "pulse.example.com" } },
      security,
    },
  };
}

function clientMessages() {
  const payloads = clientPayloads("draft-7");
  return Object.fromEntries(clientNames.map((name) => {
    const examples = CLIENT_EXAMPLES[name];
    const message = {
      name,
      title: name.replace("_", ", "),
      summary: CLIENT_SUMMARIES[name],
      payload: payloads[name],
      examples: examples.map(({ answer: _, ...example }) => example),
      "x-answers": Object.fromEntries(examples.map(({ name, answer }) => [name, answer])),
    };
    return [`client_${name}`, message];
  }));
}

function serverMessage(name: ServerMessageName) {
  return {
    name,
    title: name,
    summary: SERVER_SUMMARIES[name],
    payload: { $ref: `#/components/schemas/${name}` },
    ...examplesOf(name),
    ...(name === "error" ? { "x-codes": errorTable() } : {}),
  };
}

function examplesOf(name: ServerMessageName) {
  if (name === "error") {
    return {
      examples: ERROR_EXAMPLES.map(({ code, summary, payload }) => ({
        name: code,
        summary,
        payload,
      })),
      "x-sent": Object.fromEntries(ERROR_EXAMPLES.map(({ code, sent }) => [code, sent])),
    };
  }
  if (name in PUSH_EXAMPLES) return { examples: PUSH_EXAMPLES[name as keyof typeof PUSH_EXAMPLES] };
  const answers = clientNames.filter((asked) => ANSWERS[asked] === name).flatMap((asked) =>
    CLIENT_EXAMPLES[asked].map(({ name, summary, answer }) => ({
      name: `${asked}.${name}`,
      summary,
      payload: answer,
    }))
  );
  return { examples: answers };
}

/** As the service sees them: it receives what clients send. */
function operations() {
  const asked = clientNames.map((name) => [name, {
    action: "receive",
    channel,
    summary: CLIENT_SUMMARIES[name],
    messages: [inChannel(`client_${name}`)],
    reply: {
      channel,
      messages: [inChannel(`server_${ANSWERS[name]}`), inChannel("server_error")],
    },
  }]);
  return {
    ...Object.fromEntries(asked),
    push: {
      action: "send",
      channel,
      summary: "What reads bring to those who follow, and what concerns the connection itself",
      messages: pushNames.map((name) => inChannel(`server_${name}`)),
    },
  };
}
