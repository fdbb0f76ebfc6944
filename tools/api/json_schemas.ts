// The code's own schemas as JSON Schema, each under a name that documents refer to. It must say nothing that the schemas
// don't say.
import { z } from "zod";
import {
  CONNECTION_SCHEMAS,
  MessageId,
  SUBSCRIPTION_SCHEMAS,
} from "../../src/protocol/client_messages.ts";
import {
  Alert,
  MetricValue,
  Resume,
  Sample,
  SERVER_SCHEMAS,
} from "../../src/protocol/server_schemas.ts";

export type JsonSchema = { readonly [keyword: string]: unknown };
export type Target = "draft-7" | "draft-2020-12";

const SHARED = { Sample, Alert, Resume, MetricValue };

/** What a client may send, by the names that documents give it. */
export const CLIENT_SCHEMAS = {
  subscribe_device: SUBSCRIPTION_SCHEMAS.subscribe.device,
  subscribe_alerts: SUBSCRIPTION_SCHEMAS.subscribe.alerts,
  subscribe_fleet: SUBSCRIPTION_SCHEMAS.subscribe.fleet,
  unsubscribe_device: SUBSCRIPTION_SCHEMAS.unsubscribe.device,
  unsubscribe_alerts: SUBSCRIPTION_SCHEMAS.unsubscribe.alerts,
  unsubscribe_fleet: SUBSCRIPTION_SCHEMAS.unsubscribe.fleet,
  ...CONNECTION_SCHEMAS,
} as const;

export type ClientMessageName = keyof typeof CLIENT_SCHEMAS;
export type ServerMessageName = keyof typeof SERVER_SCHEMAS;

/** A schema by itself, as it stands in documents. */
export function jsonSchemaOf(schema: z.ZodType, target: Target): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: "input", target });
  return json;
}

/** Schemas by name that refer to each other, and to what they share, below `#/components/schemas/`. */
export function namedSchemas(
  schemas: Readonly<Record<string, z.ZodType>>,
  target: Target,
): Readonly<Record<string, JsonSchema>> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries({ ...SHARED, ...schemas })) {
    registry.add(schema, { id });
  }
  const made = z.toJSONSchema(registry, {
    io: "input",
    target,
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(
    Object.entries(made.schemas).map(([name, { $schema: _, $id: __, ...schema }]) => [
      name,
      schema,
    ]),
  );
}

/** The payloads of client messages; the id, which is read before anything else, is part of each. */
export function clientPayloads(target: Target): Readonly<Record<ClientMessageName, JsonSchema>> {
  const id = {
    ...jsonSchemaOf(MessageId, target),
    description: "What the answer is to carry back",
  };
  const payloads = Object.entries(CLIENT_SCHEMAS).map(([name, schema]) => {
    const json = jsonSchemaOf(schema, target);
    return [name, { ...json, properties: { ...json.properties as object, id } }];
  });
  return Object.fromEntries(payloads);
}
