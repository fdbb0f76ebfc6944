// Many tenants' clients over the real connections, feeds, guards and sources, and the rule that nothing may be sent that
// was not read: every frame is held against what the databases hold.
import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { readConfig } from "../../src/config.ts";
import { ConnectionManager } from "../../src/connections/connection_manager.ts";
import { FeedRegistry } from "../../src/feed/feed_registry.ts";
import { guardProcess } from "../../src/observe/guard_process.ts";
import type { ServerMessage } from "../../src/protocol/server_messages.ts";
import type { Socket } from "../../src/sockets/socket.ts";
import { openSources, type Sources } from "../../src/sources/open_sources.ts";
import { FEED_BOUNDS, histories } from "../support/histories.ts";
import { type LogRecord, type MemoryLog, memoryLog } from "../support/memory_log.ts";
import { TEST_SECRET } from "../support/tokens.ts";
import { until } from "../support/until.ts";

export type SourceName = "telemetry" | "alerts";

export interface FaultRigOptions {
  /** Settings under their own names; the databases' addresses among them. */
  readonly settings: Readonly<Record<string, string>>;
  readonly tenants: readonly string[];
  /** What each tenant's client follows. Default: `dev-1`. */
  readonly devices?: readonly string[];
  readonly pollMs: number;
  /** Default: 1,500, in which a busy machine still logs in to PostgreSQL. */
  readonly readTimeoutMs?: number;
}

interface Push {
  readonly at: number;
  readonly tenantId: string;
  readonly kind: SourceName;
  readonly deviceId: string;
}

export class FaultRig implements AsyncDisposable {
  readonly sources: Sources;
  readonly log: MemoryLog = memoryLog();
  readonly tenants: readonly string[];
  readonly pollMs: number;
  readonly pushes: Push[] = [];
  readonly #feeds: FeedRegistry;
  readonly #manager: ConnectionManager;
  readonly #guard: Disposable;
  readonly #wrong: string[] = [];
  #faults = 0;

  constructor(options: FaultRigOptions) {
    const { tenants, devices = ["dev-1"], pollMs, readTimeoutMs = 1_500, settings } = options;
    this.tenants = tenants;
    this.pollMs = pollMs;
    this.#guard = guardProcess({ log: this.log, onFault: () => this.#faults++ });
    const values: Readonly<Record<string, string>> = {
      JWT_SECRET: TEST_SECRET,
      WS_POLL_SECONDS: String(pollMs / 1_000),
      READ_TIMEOUT_SECONDS: String(readTimeoutMs / 1_000),
      ...settings,
    };
    const config = readConfig({ get: (name) => values[name], readFile: Deno.readTextFileSync });
    this.sources = openSources(config, { clock: systemClock, log: this.log });
    const shared = { clock: systemClock, log: this.log, pollIntervalMs: pollMs };
    this.#feeds = new FeedRegistry({
      ...shared,
      telemetry: this.sources.telemetry,
      alerts: this.sources.alerts,
      maxAlerts: 100,
      ...FEED_BOUNDS,
      states: () => this.sources.state(),
      lingerMs: 0,
      random: Math.random,
    });
    this.#manager = new ConnectionManager({
      ...shared,
      feeds: this.#feeds,
      highWaterBytes: 1_000_000,
      slowClientMs: 60_000,
      history: histories({ sources: this.sources, clock: systemClock, log: this.log }),
    });
    for (const tenantId of tenants) this.#connect(tenantId, devices);
  }

  /** Whether each tenant, but for the exceptions, got a push of the kind since then. */
  everyoneHas(
    kind: SourceName,
    from: number,
    { except = [] }: { except?: readonly string[] } = {},
  ): boolean {
    const seen = new Set(except);
    for (let index = this.pushes.length - 1; index >= 0; index--) {
      const push = this.pushes[index] as Push;
      if (push.at < from) break;
      if (push.kind === kind) seen.add(push.tenantId);
    }
    return seen.size === this.tenants.length;
  }

  pushesOf(kind: SourceName, from: number, to = Infinity): readonly Push[] {
    return this.pushes.filter((push) => push.kind === kind && push.at >= from && push.at < to);
  }

  /** Resolves once each tenant, but for the exceptions, got a push of the kind three times over from now on. */
  async goesOn(kind: SourceName, { except = [] }: { except?: readonly string[] } = {}) {
    for (let round = 1; round <= 3; round++) {
      const from = performance.now();
      await until(() => this.everyoneHas(kind, from, { except }), {
        what: `pushes of ${kind} to everybody, time ${round}`,
      });
    }
  }

  /** What an operator would see: not the comings and goings of clients. */
  linesSince(index: number): readonly LogRecord[] {
    return this.log.records.slice(index).filter(({ level, event }) =>
      level !== "debug" && event !== "connected" && event !== "disconnected"
    );
  }

  /** Nothing wrong was sent, and nothing was thrown where nobody could catch it. */
  checkHonest(): void {
    assert.deepEqual(this.#wrong.slice(0, 5), []);
    assert.equal(this.#faults, 0, "an exception had to be caught by the last net");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of [...this.#manager.connections]) {
      this.#manager.disconnect(connection, 1001);
    }
    this.#feeds[Symbol.dispose]();
    await this.sources[Symbol.asyncDispose]();
    this.#guard[Symbol.dispose]();
  }

  #connect(tenantId: string, devices: readonly string[]): void {
    const socket: Socket = {
      bufferedBytes: 0,
      send: (frames) => {
        for (const { message } of frames) this.#see(tenantId, message);
      },
      close: () => {},
      terminate: () => {},
    };
    const connection = this.#manager.connect(socket, {
      tenantId,
      userId: "user-1",
      email: null,
      role: "customer_viewer",
      expiresAt: Number.MAX_SAFE_INTEGER,
    });
    for (const deviceId of devices) {
      this.#manager.subscribeDevices(connection, { deviceIds: [deviceId] });
    }
    this.#manager.subscribeAlerts(connection);
  }

  #see(tenantId: string, message: ServerMessage): void {
    const at = performance.now();
    if (message.type === "telemetry") {
      const { device_id: deviceId, data } = message;
      this.pushes.push({ at, tenantId, kind: "telemetry", deviceId });
      const expected = `${tenantId}/${deviceId}`;
      if (data.metrics.owner !== expected) this.#note(expected, message);
    } else if (message.type === "alerts") {
      this.pushes.push({ at, tenantId, kind: "alerts", deviceId: "" });
      // Each tenant has exactly one, so that an empty list is as wrong as another's.
      const [alert] = message.alerts;
      const isRight = message.alerts.length === 1 && alert?.tenant_id === tenantId &&
        alert.summary === `of ${tenantId}`;
      if (!isRight) this.#note(`alerts of ${tenantId}`, message);
    } else if (message.type === "error") {
      this.#note(`no error for ${tenantId}`, message);
    }
  }

  #note(expected: string, message: ServerMessage): void {
    this.#wrong.push(`expected ${expected}, got ${JSON.stringify(message)}`);
  }
}

/** `t0`, `t1` … */
export function tenantNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, n) => `t${n}`);
}
