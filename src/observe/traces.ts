// Spans for the runtime's own OpenTelemetry: while that is off they cost next to nothing and go nowhere. No URL and no
// message of an error may stand in one, because a token may stand in them.
import { context, ProxyTracerProvider, type Span, SpanStatusCode, trace } from "@opentelemetry/api";

const tracer = trace.getTracer("pulsewire");

const NO_SPAN: Pick<Span, "setAttribute"> = Object.freeze({
  setAttribute: () => NO_SPAN as Span,
});

/** Runs the work in a span of its own that ends with it; while nothing is traced, without one. */
export function inSpan<T>(
  name: string,
  work: (span: Pick<Span, "setAttribute">) => Promise<T>,
): Promise<T> {
  if (!isTracing()) return work(NO_SPAN);
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      // Without its message, which may hold what a log may and another system may not.
      span.setStatus({ code: SpanStatusCode.ERROR });
      if (error instanceof Error) span.setAttribute("error.type", error.name);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Begins works in a span that ends when all of them have; whoever began them goes on at once. */
export function beginInSpan<Works extends readonly (Promise<unknown> | null)[]>(
  name: string,
  begin: () => Works,
): Works {
  const span = tracer.startSpan(name);
  const works = context.with(trace.setSpan(context.active(), span), begin);
  void Promise.allSettled(works).then(() => span.end());
  return works;
}

/** By which a line of the log is found from a span; nothing where none is active. */
export function traceIds(): Readonly<Record<string, string>> {
  const active = trace.getActiveSpan()?.spanContext();
  if (active === undefined || !trace.isSpanContextValid(active)) return {};
  return { trace_id: active.traceId, span_id: active.spanId };
}

/** Whether spans are exported. */
export function isTracing(): boolean {
  return !(trace.getTracerProvider() instanceof ProxyTracerProvider);
}
