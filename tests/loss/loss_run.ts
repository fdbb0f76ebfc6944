// The stage of the loss suite: a service as a process that can be killed, the databases under it, writers for both and a
// client that follows everything. It must start everything on ports that stay the same.
import assert from "node:assert/strict";
import { FaultProxy } from "../faults/fault_proxy.ts";
import { ServiceProcess } from "../service/service_process.ts";
import { freePort } from "../support/free_port.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";
import { pause, until } from "../support/until.ts";
import { alertFaults } from "./alert_faults.ts";
import { AlertWriter } from "./alert_writer.ts";
import { FollowingClient } from "./following_client.ts";
import { keyOf } from "./numbered_sample.ts";
import { sampleFaults } from "./sample_faults.ts";
import type { SampleStore } from "./sample_store.ts";
import { SampleWriter } from "./sample_writer.ts";

export interface LossRunOptions {
  readonly store: SampleStore;
  readonly postgres: TestPostgres;
}

const DEVICES = ["dev-1", "dev-2", "dev-3"] as const;
/** Shorter than the outages, so that what is late counts from the data and not from the clock. */
export const LATE_MS = 2_000;
/** Longer than any retry delay of a source. */
const RECOVERY_MS = 60_000;
/** Some polls, in which a sample that is sent again would come. */
const QUIET_MS = 1_000;
const SHOWN = 12;

export class LossRun implements AsyncDisposable {
  readonly samples: SampleWriter;
  readonly alerts: AlertWriter;
  readonly client: FollowingClient;
  readonly #options: LossRunOptions;
  readonly #port: number;
  readonly #wire: FaultProxy;
  #service: ServiceProcess;

  static async open(options: LossRunOptions): Promise<LossRun> {
    const port = freePort();
    const service = await startService(options, port);
    return new LossRun(options, { port, service });
  }

  private constructor(
    options: LossRunOptions,
    { port, service }: { port: number; service: ServiceProcess },
  ) {
    this.#options = options;
    this.#port = port;
    this.#service = service;
    this.#wire = new FaultProxy({ targetPort: port, marker: "GET " });
    const [deviceId] = DEVICES;
    const { store, postgres } = options;
    this.samples = new SampleWriter({ store, deviceIds: DEVICES, everyMs: 40, lateByMs: 800 });
    this.alerts = new AlertWriter({ postgres, deviceId, everyMs: 120 });
    this.client = this.#follow();
  }

  /** Cuts every connection between client and service, without a word. */
  cut(): void {
    this.#wire.drop();
  }

  /** Cuts them, and resolves as soon as the client has been answered again, before it can have got all that it missed. */
  async cutUntilAnswered(): Promise<void> {
    const before = this.client.answers;
    this.cut();
    await until(() => this.client.answers > before, { withinMs: RECOVERY_MS, what: "an answer" });
  }

  /** Ends the service's process at once. */
  async killService(): Promise<void> {
    this.#service.signal("SIGKILL");
    await this.#service.status;
  }

  /** Starts it again, on the same port. */
  async startService(): Promise<void> {
    this.#service = await startService(this.#options, this.#port);
  }

  /** Lets an outage last until the writer has waited this long for it. */
  async outage(of: "samples" | "alerts", lastsMs: number): Promise<void> {
    const writer = this[of];
    await until(() => writer.blockedMs > lastsMs, { withinMs: RECOVERY_MS, what: "an outage" });
  }

  /** Resolves when an alert has been opened and closed since it was asked, which a client that is away must be told. */
  async alertPassed(): Promise<void> {
    const from = Date.now();
    const hasPassed = () =>
      this.alerts.written.some(({ openedAt, closedAt }) => openedAt > from && closedAt !== null);
    await until(hasPassed, { withinMs: RECOVERY_MS, what: "an alert that comes and goes" });
  }

  /** Resolves when the client has been told of all that is stored, and of something that is stored after now. */
  async caughtUp(what: string): Promise<void> {
    const { samples, alerts, client } = this;
    const sampleCount = samples.acknowledged.length;
    const alertCount = alerts.written.length;
    const bound = { withinMs: RECOVERY_MS };
    await until(
      () => samples.acknowledged.length > sampleCount && alerts.written.length > alertCount,
      { ...bound, what: `writing after ${what}` },
    );
    await this.#told(what, client);
  }

  /** Ends the writers and compares what two clients know with what is stored: this one, and one that comes only now. */
  async reckon(): Promise<void> {
    const { samples, alerts, client } = this;
    await Promise.all([samples.end(), alerts.end()]);
    await using latecomer = this.#follow();
    const [stored, storedAlerts] = await Promise.all([
      this.#options.store.readAll(),
      alerts.readAll(),
    ]);
    const unfinished = await Promise.allSettled(
      [client, latecomer].map((one) => this.#told("the end", one)),
    );
    await pause(QUIET_MS);
    for (
      const [name, { connections, alerts: replay, faults }] of [["", client], [
        "Latecomer: ",
        latecomer,
      ]] as const
    ) {
      const found = [
        ...faults,
        ...sampleFaults({
          stored,
          acknowledged: samples.acknowledged,
          connections,
          isLate: (sample) => samples.isLate(sample),
        }),
        ...alertFaults({ stored: storedAlerts, written: alerts.written, replay }),
      ].map((fault) => name + fault);
      assert.deepEqual(found.slice(0, SHOWN), [], `${found.length} faults\n${this.#lastRecords()}`);
    }
    for (const outcome of unfinished) if (outcome.status === "rejected") throw outcome.reason;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.leave();
    await this.samples[Symbol.asyncDispose]();
    await this.alerts[Symbol.asyncDispose]();
    await this.#wire[Symbol.asyncDispose]();
    await this.#service[Symbol.asyncDispose]();
  }

  /** Waits until a client knows all samples and alerts that are acknowledged now. */
  async #told(what: string, client: FollowingClient): Promise<void> {
    const samples = [...this.samples.acknowledged];
    const alerts = [...this.alerts.written];
    let sample = 0;
    let alert = 0;
    await until(() => {
      while (sample < samples.length && client.got.has(keyOf(samples[sample]!))) sample++;
      while (alert < alerts.length && client.alerts.reported.has(alerts[alert]!.alertId)) alert++;
      return sample === samples.length && alert === alerts.length;
    }, { withinMs: RECOVERY_MS, what: `all that is stored at ${what}` }).catch((cause) => {
      const missing =
        `${samples.length - sample} samples from ${JSON.stringify(samples[sample])}, ` +
        `${alerts.length - alert} alerts from ${JSON.stringify(alerts[alert])}`;
      throw new Error(`Not caught up after ${what}: ${missing}\n${this.#lastRecords()}`, { cause });
    });
  }

  #follow(): FollowingClient {
    return new FollowingClient({
      address: async () =>
        this.#wire.through(
          `ws://127.0.0.1:${this.#port}/api/v2/ws?token=${await signToken()}`,
        ),
      deviceIds: DEVICES,
      since: this.samples.startedAt,
      overlapMs: LATE_MS,
    });
  }

  #lastRecords(): string {
    return this.#service.records.slice(-SHOWN).map((record) => JSON.stringify(record)).join("\n");
  }
}

async function startService(
  { store, postgres }: LossRunOptions,
  port: number,
): Promise<ServiceProcess> {
  const service = await ServiceProcess.start({
    ...store.settings,
    DATABASE_URL: postgres.appUrl,
    JWT_SECRET: TEST_SECRET,
    PORT: String(port),
    WS_POLL_SECONDS: "0.25",
    LATE_SECONDS: String(LATE_MS / 1_000),
  });
  try {
    await service.port();
  } catch (error) {
    await service[Symbol.asyncDispose]();
    throw error;
  }
  return service;
}
