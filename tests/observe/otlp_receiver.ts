// A receiver of what OpenTelemetry exports, as JSON over HTTP on loopback; it keeps everything as it came.

export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: unknown }>;
}

export class OtlpReceiver implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #bodies: Array<{ readonly path: string; readonly text: string }> = [];

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const text = await request.text();
        this.#bodies.push({ path: new URL(request.url).pathname, text });
        return Response.json({});
      },
    );
  }

  /** The environment of a process that exports to it. */
  get environment(): Readonly<Record<string, string>> {
    return {
      OTEL_DENO: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_SERVICE_NAME: "pulsewire",
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_BLRP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    };
  }

  /** Everything that was exported: traces, logs and metrics. */
  get text(): string {
    return this.#bodies.map(({ text }) => text).join("\n");
  }

  get signals(): ReadonlySet<string> {
    return new Set(this.#bodies.map(({ path }) => path));
  }

  get spans(): readonly ReceivedSpan[] {
    return this.#bodies.filter(({ path }) => path === "/v1/traces").flatMap(({ text }) =>
      (JSON.parse(text).resourceSpans as ReadonlyArray<ResourceSpans>).flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) => spans)
      )
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

interface ResourceSpans {
  readonly scopeSpans: ReadonlyArray<{ readonly spans: readonly ReceivedSpan[] }>;
}

/** The value of a span's attribute, whatever its type. */
export function attributeOf(span: ReceivedSpan, key: string): unknown {
  const value = span.attributes.find((attribute) => attribute.key === key)?.value;
  return value === undefined ? undefined : Object.values(value as object)[0];
}
