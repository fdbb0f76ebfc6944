// The HTTP reads of the page: stored samples of a device and closed alerts. The token goes in a header and nowhere else.
import type { Alert, Sample } from "../../protocol/server_messages.ts";

/** The service could not answer, or would not. */
export class RestError extends Error {
  override readonly name = "RestError";
  readonly status: number;
  readonly retryAfterMs: number;

  constructor(status: number, retryAfterMs: number) {
    super(`Read was refused: HTTP ${status}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface StoredSamples {
  /** Ascending. */
  readonly samples: readonly Sample[];
  /** Whether some could not be understood and are left out. */
  readonly isIncomplete: boolean;
}

export interface StoredQuery {
  readonly deviceId: string;
  readonly fromMs: number;
  readonly resolutionSeconds: number;
  readonly limit: number;
  readonly signal: AbortSignal;
}

const RETRY_MS = 5_000;
const MAX_CLOSED = 1_000;

export class Rest {
  readonly #base: URL;
  readonly #token: () => Promise<string | null>;

  constructor(base: URL, token: () => Promise<string | null>) {
    this.#base = base;
    this.#token = token;
  }

  async samples(
    { deviceId, fromMs, resolutionSeconds, limit, signal }: StoredQuery,
  ): Promise<StoredSamples> {
    const path = `api/v2/devices/${encodeURIComponent(deviceId)}/telemetry`;
    const query = {
      start: new Date(fromMs).toISOString(),
      resolution_seconds: String(resolutionSeconds),
      limit: String(limit),
    };
    const body = await this.#read<{ telemetry: Sample[]; incomplete?: true }>(path, {
      query,
      signal,
    });
    return { samples: body.telemetry.toReversed(), isIncomplete: body.incomplete === true };
  }

  /** The newest of those that are closed. */
  async closedAlerts(signal: AbortSignal): Promise<readonly Alert[]> {
    const query = { status: "CLOSED", limit: String(MAX_CLOSED) };
    const { alerts } = await this.#read<{ alerts: Alert[] }>("api/v2/alerts", { query, signal });
    return alerts;
  }

  async #read<Body>(
    path: string,
    { query, signal }: {
      readonly query: Readonly<Record<string, string>>;
      readonly signal: AbortSignal;
    },
  ): Promise<Body> {
    const url = new URL(path, this.#base);
    url.search = new URLSearchParams(query).toString();
    const token = await this.#token();
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      cache: "no-store",
      signal,
    });
    if (!response.ok) {
      await response.body?.cancel();
      const seconds = Number(response.headers.get("retry-after"));
      throw new RestError(response.status, seconds > 0 ? seconds * 1_000 : RETRY_MS);
    }
    return await response.json() as Body;
  }
}
