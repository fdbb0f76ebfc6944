// `GET /metrics`: the numbers as Prometheus reads them, beside the other routes or alone on a port of their own. It asks
// for no credential, so it must tell nothing of one client.
import type { FetchHandler } from "./routes.ts";

export const METRICS_PATH = "/metrics";

export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

export async function metricsAnswer(metrics: MetricsText): Promise<Response> {
  const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
  return new Response(await metrics.text(), { headers });
}

/** The handler of a port that serves nothing else. */
export function metricsPage(metrics: MetricsText): FetchHandler {
  return async ({ url, method }) => {
    if (new URL(url).pathname !== METRICS_PATH) return new Response("Not found\n", { status: 404 });
    if (method === "GET" || method === "HEAD") return await metricsAnswer(metrics);
    return new Response("Method not allowed\n", { status: 405, headers: { allow: "GET, HEAD" } });
  };
}
