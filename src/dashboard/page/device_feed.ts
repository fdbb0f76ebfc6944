// One device's samples over a span: windows of history over HTTP, then every sample from the last window on over the
// socket. The last window is asked for again as samples, so that the seam is exact whatever the clocks say.
import { type Signal, signal } from "@preact/signals";
import type { Gap } from "../../client/client_events.ts";
import type { PulsewireClient } from "../../client/pulsewire_client.ts";
import type { Alert } from "../../protocol/server_messages.ts";
import { DeviceSeries } from "./device_series.ts";
import { type Rest, RestError } from "./rest.ts";
import type { ServiceClock } from "./service_clock.ts";
import { MAX_POINTS, type Span } from "./span.ts";

export type FeedState = "loading" | "ready" | "failed";

export interface DeviceFeedOptions {
  readonly deviceId: string;
  readonly span: Span;
  readonly client: PulsewireClient;
  readonly rest: Rest;
  readonly clock: ServiceClock;
}

const RETRY_MS = 5_000;

export class DeviceFeed implements Disposable {
  readonly series: DeviceSeries;
  readonly state: Signal<FeedState> = signal("loading");
  /** Counts up when there is something new to draw. */
  readonly version: Signal<number> = signal(0);
  readonly isIncomplete: Signal<boolean> = signal(false);
  /** Before this instant something is missing that can't be had. */
  readonly missingBefore: Signal<string | null> = signal(null);
  /** Alerts of the device that were closed when it was opened. */
  readonly closedAlerts: Signal<readonly Alert[]> = signal([]);
  readonly #options: DeviceFeedOptions;
  readonly #leaving = new AbortController();
  #retry: ReturnType<typeof setTimeout> | null = null;
  #frame: number | null = null;
  #stop: (() => void) | null = null;

  constructor(options: DeviceFeedOptions) {
    this.#options = options;
    const { seconds, resolutionSeconds } = options.span;
    this.series = new DeviceSeries({ spanSeconds: seconds, resolutionSeconds });
    void this.#load();
    void this.#loadAlerts();
  }

  [Symbol.dispose](): void {
    this.#leaving.abort();
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#stop?.();
  }

  async #load(): Promise<void> {
    const { deviceId, span: { seconds, resolutionSeconds }, rest, clock } = this.#options;
    const { signal } = this.#leaving;
    const stepMs = resolutionSeconds * 1_000;
    const fromMs = Math.floor(clock.now() / stepMs) * stepMs - seconds * 1_000;
    try {
      const { samples, isIncomplete } = await rest.samples({
        deviceId,
        fromMs,
        resolutionSeconds,
        limit: MAX_POINTS,
        signal,
      });
      const windows = samples.slice(0, -1);
      for (const window of windows) this.series.addWindow(window);
      this.isIncomplete.value = isIncomplete;
      const last = samples.at(-1);
      this.#follow(last === undefined ? fromMs : Date.parse(last.timestamp));
    } catch (error) {
      if (signal.aborted) return;
      this.state.value = "failed";
      const waitMs = error instanceof RestError ? error.retryAfterMs : RETRY_MS;
      this.#retry = setTimeout(() => void this.#load(), waitMs);
    }
  }

  /** They are marks beside the values: without them the charts are still whole. */
  async #loadAlerts(): Promise<void> {
    const { rest, deviceId } = this.#options;
    const closed = await rest.closedAlerts(this.#leaving.signal).catch(() => []);
    this.closedAlerts.value = closed.filter((alert) => alert.device_id === deviceId);
  }

  #follow(fromMs: number): void {
    const { client, deviceId } = this.#options;
    // Both are whole seconds, and the service counts from after the instant.
    const since = `${new Date(fromMs - 1_000).toISOString().slice(0, 19)}.999999999Z`;
    const onGap = ({ from, reason }: Gap) => {
      // What is only late comes by itself.
      if (reason !== "source_unavailable") this.missingBefore.value = from;
    };
    this.#stop = client.device(deviceId, { mode: "every", since, onGap }, (sample) => {
      this.series.add(sample);
      this.#changed();
    });
    this.state.value = "ready";
    this.version.value++;
  }

  /** A page of history is hundreds of samples, and one picture. */
  #changed(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.version.value++;
    });
  }
}
