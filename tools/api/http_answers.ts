// The schemas of what the HTTP routes answer with; tests hold every answer to them.
import { z } from "zod";
import { REQUEST_ERRORS, type RequestErrorCode } from "../../src/errors.ts";
import { Alert, Sample } from "../../src/protocol/server_schemas.ts";

const SourceState = z.enum(["unknown", "ok", "degraded"]);
const sources = z.object({ telemetry: SourceState, alerts: SourceState });
const count = z.int().meta({ description: "Things in this answer, not all there are" });
const truncated = z.literal(true).exactOptional().meta({
  description: "Only where the list was cut at its limit",
});

export const HTTP_ANSWERS = {
  Readiness: z.object({
    status: z.enum(["ready", "not_ready"]),
    draining: z.boolean(),
    keys: z.enum(["ok", "unreached"]),
    sources,
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
