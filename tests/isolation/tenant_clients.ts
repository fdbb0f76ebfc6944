// Clients of many tenants over the real connections and feeds. Whatever is stored for a tenant carries its mark, and every
// frame is searched for the marks of others as the text that goes out.
import assert from "node:assert/strict";
import type { Clock } from "../../src/clock.ts";
import type { Connection } from "../../src/connections/connection.ts";
import { ConnectionManager } from "../../src/connections/connection_manager.ts";
import { FeedRegistry } from "../../src/feed/feed_registry.ts";
import type { Log } from "../../src/observe/log.ts";
import { frameText } from "../../src/protocol/frame.ts";
import type { AlertSource } from "../../src/sources/alert_source.ts";
import type { TelemetrySource } from "../../src/sources/telemetry_source.ts";
import { FEED_BOUNDS, histories } from "../support/histories.ts";

export interface TenantClientsOptions {
  readonly telemetry: TelemetrySource;
  readonly alerts: AlertSource;
  readonly pollMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Spreads the ticks; default: by chance. */
  readonly random?: () => number;
}

export interface TenantClient {
  readonly tenantId: string;
  readonly connection: Connection;
  /** Frames that it was sent. */
  frames: number;
}

const MARK = /mark:([A-Za-z0-9_-]+):/g;

/** What a tenant's data says about itself, wherever it may turn up. */
export function markOf(tenantId: string): string {
  return `mark:${tenantId}:`;
}

export class TenantClients implements Disposable {
  readonly clients: TenantClient[] = [];
  readonly feeds: FeedRegistry;
  readonly #manager: ConnectionManager;
  readonly #wrong: string[] = [];
  #frames = 0;

  constructor(
    { telemetry, alerts, pollMs, clock, log, random = Math.random }: TenantClientsOptions,
  ) {
    const shared = { clock, log, pollIntervalMs: pollMs };
    this.feeds = new FeedRegistry({
      ...shared,
      telemetry,
      alerts,
      maxAlerts: 100,
      ...FEED_BOUNDS,
      lingerMs: pollMs / 2,
      random,
    });
    this.#manager = new ConnectionManager({
      ...shared,
      feeds: this.feeds,
      highWaterBytes: 1_000_000,
      slowClientMs: 60_000,
      history: histories({ sources: { telemetry, alerts }, clock, log }),
    });
  }

  /** Pushes that carried a mark. */
  get markedFrames(): number {
    return this.#frames;
  }

  connect(tenantId: string): TenantClient {
    const scope = {
      tenantId,
      userId: "the same user",
      email: null,
      role: "customer_viewer",
      expiresAt: Number.MAX_SAFE_INTEGER,
    };
    let client: TenantClient | null = null;
    const connection = this.#manager.connect({
      bufferedBytes: 0,
      send: (frames) => {
        for (const frame of frames) this.#see(tenantId, frameText(frame));
        if (client !== null) client.frames += frames.length;
      },
      close: () => {},
      terminate: () => {},
    }, scope);
    client = { tenantId, connection, frames: 0 };
    this.clients.push(client);
    return client;
  }

  disconnect(client: TenantClient): void {
    this.#manager.disconnect(client.connection, 1001);
    const index = this.clients.indexOf(client);
    if (index >= 0) this.clients.splice(index, 1);
  }

  follow({ connection }: TenantClient, deviceId: string): void {
    this.#manager.subscribeDevices(connection, { deviceIds: [deviceId] });
  }

  unfollow({ connection }: TenantClient, deviceId: string): void {
    this.#manager.unsubscribeDevices(connection, [deviceId]);
  }

  followAlerts({ connection }: TenantClient): void {
    this.#manager.subscribeAlerts(connection);
  }

  /** No frame reached a connection of another tenant. */
  check(): void {
    assert.deepEqual(this.#wrong, []);
  }

  [Symbol.dispose](): void {
    for (const client of [...this.clients]) this.disconnect(client);
    this.feeds[Symbol.dispose]();
  }

  #see(tenantId: string, text: string): void {
    for (const [, owner] of text.matchAll(MARK)) {
      this.#frames++;
      if (owner !== tenantId) this.#wrong.push(`${tenantId} was sent ${text}`);
    }
  }
}
