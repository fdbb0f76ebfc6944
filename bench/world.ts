// What benches on real databases share: InfluxDB and PostgreSQL of their own, ten tenants with alerts and devices, a
// writer that gives every device a sample once a second, and the service on top. Everything runs on this machine.
import { openInfluxd, type TestInfluxd } from "../tests/support/influxd.ts";
import { openPostgres, type TestPostgres } from "../tests/support/postgres.ts";
import { deviceName, stamp, tenantName } from "./load/names.ts";
import { startService, type Subject } from "./service.ts";
import type { Shareable } from "./shared.ts";
import { metricsOf } from "./load/samples.ts";
import { type Usage, usageOf } from "./usage.ts";

export interface WorldOptions {
  readonly tenants: number;
  readonly devicesOfTenant: number;
  /** Devices that the last tenant has beside those, for whoever asks for one that nobody follows. */
  readonly coldDevices?: number;
  readonly pollSeconds: number;
}

export const TENANTS = 10;
export const DEVICES_OF_TENANT = 50;
export const COLD_DEVICES = 50;
export const POLL_MS = 1_000;

/** One for all benches that want it of this size. */
export const sharedWorld: Shareable<World> = {
  name: "world",
  open: () =>
    World.open({
      tenants: TENANTS,
      devicesOfTenant: DEVICES_OF_TENANT,
      coldDevices: COLD_DEVICES,
      pollSeconds: POLL_MS / 1_000,
    }),
};

const WRITE_MS = 1_000;
export const ALERTS_OF_TENANT = 5;

export class World implements AsyncDisposable {
  readonly service: Subject;
  readonly tenants: number;
  /** Since when devices have had a sample each second. */
  readonly openedAt = Date.now();
  readonly #influxd: TestInfluxd;
  readonly #postgres: TestPostgres;
  readonly #options: WorldOptions;
  readonly #over = new AbortController();
  #writing: Promise<void> = Promise.resolve();
  /** When each round of writes began, in milliseconds since the epoch; all of its samples have its number. */
  readonly #beganAt: number[] = [];

  static async open(options: WorldOptions): Promise<World> {
    const [influxd, postgres] = await Promise.all([openInfluxd(), openPostgres()]);
    for (let nth = 0; nth < options.tenants; nth++) {
      await influxd.createDatabase(`telemetry_${tenantName(nth)}`);
      await postgres.execute(
        `INSERT INTO fleet_alert (tenant_id, site_id, device_id, alert_type, status, severity, summary)
         SELECT $1, 'plant', device_id, 'over_temperature', 'OPEN', i % 5, 'Too warm'
         FROM unnest(string_to_array($2, ',')) WITH ORDINALITY AS alert (device_id, i)`,
        [
          tenantName(nth),
          Array.from({ length: ALERTS_OF_TENANT }, (_, device) => deviceName(device, nth)).join(),
        ],
      );
    }
    const service = await startOn({ influxd, postgres }, options);
    const world = new World(service, { influxd, postgres, options });
    world.#writing = world.#write();
    return world;
  }

  private constructor(
    service: Subject,
    { influxd, postgres, options }: {
      readonly influxd: TestInfluxd;
      readonly postgres: TestPostgres;
      readonly options: WorldOptions;
    },
  ) {
    this.service = service;
    this.#influxd = influxd;
    this.#postgres = postgres;
    this.#options = options;
    this.tenants = options.tenants;
  }

  get influxUrl(): string {
    return this.#influxd.url;
  }

  /** What InfluxDB has spent. */
  async influxUsage(): Promise<Usage> {
    const { pid } = this.#influxd;
    const usage = pid === null ? null : await usageOf(pid);
    if (usage === null) throw new Error("Cannot read what InfluxDB spent: it has ended");
    return usage;
  }

  /** Another service on the same databases, which nobody has used; the caller ends it. */
  startService(): Promise<Subject> {
    return startOn({ influxd: this.#influxd, postgres: this.#postgres }, this.#options);
  }

  /** The first round of writes that began then or later: its number, and when it began. */
  roundSince(ms: number): { readonly n: number; readonly at: number } {
    const n = this.#beganAt.findIndex((at) => at >= ms);
    return { n, at: this.#beganAt[n] as number };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#writing;
    await this.service.process[Symbol.asyncDispose]();
    await this.#influxd.stop();
    await this.#postgres.stop();
  }

  /** Every tenant's devices at once, each write stamped with the instant at which it begins. */
  async #write(): Promise<void> {
    const { signal } = this.#over;
    let dueAt = performance.now();
    for (let n = 0; !signal.aborted; n++) {
      const { tenants, devicesOfTenant, coldDevices = 0 } = this.#options;
      this.#beganAt.push(Date.now());
      await Promise.all(Array.from({ length: tenants }, async (_, nth) => {
        const fields = Object.fromEntries(
          Array.from(
            { length: devicesOfTenant + (nth === tenants - 1 ? coldDevices : 0) },
            (_, device) => [deviceName(device, nth), fieldsOf({ n, device })],
          ),
        );
        const at = stamp(Date.now(), n);
        const lines = Object.entries(fields).map(([name, text]) =>
          `telemetry,device_id=${name} ${text} ${nanosecondsOf(at)}`
        );
        await this.#influxd.write(`telemetry_${tenantName(nth)}`, lines.join("\n"));
      }));
      dueAt = Math.max(dueAt + WRITE_MS, performance.now());
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, dueAt - performance.now());
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        }, { once: true });
      });
    }
  }
}

function startOn(
  { influxd, postgres }: { readonly influxd: TestInfluxd; readonly postgres: TestPostgres },
  { pollSeconds }: WorldOptions,
): Promise<Subject> {
  return startService({ synthetic: null }, {
    DATABASE_URL: postgres.appUrl,
    INFLUXDB_URL: influxd.url,
    WS_POLL_SECONDS: String(pollSeconds),
  });
}

function fieldsOf(of: { readonly n: number; readonly device: number }): string {
  return Object.entries(metricsOf(of)).map(([name, value]) =>
    `${name}=${typeof value === "string" ? `"${value}"` : value}`
  ).join(",");
}

function nanosecondsOf(instant: string): string {
  const ms = Date.parse(`${instant.slice(0, 23)}Z`);
  return `${ms}${instant.slice(23, 29)}`;
}
