// Holds what a test receives to the schemas of what the service sends; it must tolerate nothing that they don't name.
import { z } from "zod";
import { SERVER_SCHEMAS } from "../../src/protocol/server_schemas.ts";

const schemas = new Map<unknown, z.ZodType>(Object.entries(SERVER_SCHEMAS));

/** What is wrong with a message of the service as it came, fields and their order included; null where nothing is. */
export function messageFault(text: string): string | null {
  const message: unknown = JSON.parse(text);
  const type = typeof message === "object" && message !== null && "type" in message
    ? message.type
    : undefined;
  const schema = schemas.get(type);
  if (schema === undefined) return `No such message is known: ${text}`;
  const parsed = schema.safeParse(message);
  if (!parsed.success) return `${z.prettifyError(parsed.error)}: ${text}`;
  // What reads schemas leaves this name out wherever it stands, though a device or a metric may have it.
  if (text.includes('"__proto__"')) return null;
  return JSON.stringify(parsed.data) === JSON.stringify(message)
    ? null
    : `Fields are unknown, or in another order than ${JSON.stringify(parsed.data)}: ${text}`;
}
