// The schemas of what the HTTP routes answer with; tests hold every answer to them.
import { z } from "zod";
import { REQUEST_ERRORS, type RequestErrorCode } from "../../src/errors.ts";
import { Alert, Sample } from "../../src/protocol/server_schemas.ts";

const SourceState = z.enum(["unknown", "ok", "degraded"]);
const sources = z.object({ telemetry: SourceState, alerts: SourceState });
const ReadyState = z.enum([...SourceState.options, "unavailable", "denied", "rejected"]).meta({
  description: "Until the source was found right: the kind of fault that was found",
});
const quantity = z.int().nonnegative();
const standing = z.object({
  state: z.enum(["ok", "degraded"]),
  since: z.iso.datetime(),
  retry_in_ms: quantity.exactOptional(),
}).nullable().meta({ description: "Null while there was nothing to tell of the source" });
const count = z.int().meta({ description: "Things in this answer, not all there are" });
const truncated = z.literal(true).exactOptional().meta({
  description: "Only where the list was cut at its limit",
});

export const HTTP_ANSWERS = {
  Readiness: z.object({
    status: z.enum(["ready", "not_ready"]),
    draining: z.boolean(),
    keys: z.enum(["ok", "unreached"]),
    sources: z.object({ telemetry: ReadyState, alerts: ReadyState }),
  }),
  Health: z.object({
    status: z.enum(["ok", "starting", "degraded"]),
    server: z.string(),
    sources,
  }),
  Ticket: z.object({
    ticket: z.string(),
    expires_in: z.int().meta({ description: "Seconds" }),
  }),
  DeviceList: z.object({
    tenant_id: z.string(),
    devices: z.array(z.object({
      device_id: z.string(),
      last: Sample.shape.timestamp.meta({ description: "The instant of its newest sample" }),
    })),
    count,
    truncated,
  }),
  SampleList: z.object({
    device_id: z.string(),
    telemetry: z.array(Sample),
    count,
    truncated,
    incomplete: z.literal(true).exactOptional().meta({
      description: "Only where some stored samples can't be understood",
    }),
  }),
  AlertList: z.object({ tenant_id: z.string(), alerts: z.array(Alert), count, truncated }),
  StreamStatus: z.object({
    tenant_id: z.string(),
    server: z.string(),
    connections: z.object({ websocket: quantity, events: quantity }),
    subscriptions: z.object({
      device: quantity,
      all_devices: quantity,
      alerts: quantity,
      fleet: quantity,
    }).meta({ description: "What clients asked for; devices followed among all count once" }),
    feed: z.object({
      state: z.enum(["running", "idle"]),
      devices: quantity.meta({ description: "Devices that are followed by name, each once" }),
      sources: z.object({ telemetry: standing, alerts: standing }),
    }),
    sources,
    limits: z.record(
      z.string(),
      z.object({
        value: quantity,
        used: quantity.exactOptional().meta({
          description:
            "Now; of this token's user, or of the one connection that uses most, where the limit is theirs",
        }),
      }),
    ),
  }),
  Problem: z.object({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(REQUEST_ERRORS) as [RequestErrorCode]),
    detail: z.string().exactOptional(),
    parameter: z.string().exactOptional(),
  }),
} as const;

export type HttpAnswerName = keyof typeof HTTP_ANSWERS;
