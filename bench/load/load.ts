// The load client as benches use it: one process or several, each with its share of the sockets; what they count is
// added up. A fault in one of them ends the bench.
import { Child } from "../child.ts";
import type {
  ConnectOrder,
  FollowOrder,
  LoadOptions,
  Order,
  ProbeOrder,
  Reading,
} from "./load_process.ts";

/** Throws when not just so many devices of sockets have something new: others were left out, or told what is not so. */
export function expectRenewed({ renewed, ms }: LoadReading, due: number): void {
  if (renewed === due) return;
  const seconds = (ms / 1_000).toFixed(1);
  throw new Error(
    `${renewed} devices of sockets had something new in ${seconds} s, ${due} were due`,
  );
}

/** What all processes counted since it was last read. */
export interface LoadReading extends Reading {
  /** Seconds of processor time that the client took in that time. */
  readonly cpuSeconds: number;
}

export class Load implements AsyncDisposable {
  readonly #processes: readonly Child[];
  #cpuSeconds: number;

  constructor(options: LoadOptions, { processes = 1 }: { readonly processes?: number } = {}) {
    this.#processes = Array.from(
      { length: processes },
      () =>
        Child.start("load/load_process.ts", {
          args: [{ ...options, maxSockets: Math.ceil(options.maxSockets / processes) }],
        }),
    );
    this.#cpuSeconds = 0;
  }

  /** Opens sockets and returns the milliseconds until the last of them is open (and has its answers). */
  async connect(order: ConnectOrder): Promise<number> {
    const answers = await Promise.all(
      this.#processes.map((process, nth) =>
        process.ask<{ ms: number }>(
          {
            do: "connect",
            order: {
              ...order,
              count: share(order.count, { nth, of: this.#processes.length }),
              inFlight: Math.ceil(order.inFlight / this.#processes.length),
              tokens: order.tokens.length < this.#processes.length
                ? order.tokens
                : order.tokens.filter((_, token) => token % this.#processes.length === nth),
            },
          } satisfies Order,
        )
      ),
    );
    return Math.max(...answers.map(({ ms }) => ms));
  }

  /** Lets open sockets follow and returns the milliseconds until the last answer. */
  async follow(order: FollowOrder): Promise<number> {
    const answers = await this.#ask<{ ms: number }>({ do: "follow", order });
    return Math.max(...answers.map(({ ms }) => ms));
  }

  /** Milliseconds from a subscription to its first value, one by one; for a client of one process and one socket. */
  async probe(order: ProbeOrder): Promise<readonly number[]> {
    const answers = await this.#ask<{ took: number[] }>({ do: "probe", order });
    return answers.flatMap(({ took }) => took);
  }

  /** Resets the first sockets of each process at once, as a network that breaks does. */
  async cut(count: number): Promise<void> {
    await this.#ask({ do: "cut", count: Math.ceil(count / this.#processes.length) });
  }

  async close(): Promise<void> {
    await this.#ask({ do: "close" });
  }

  async read(): Promise<LoadReading> {
    const readings = await this.#ask<Reading>({ do: "read" });
    const total = (
      name: "updates" | "fresh" | "renewed" | "frames" | "bytes" | "alerts" | "answers" | "open",
    ) => readings.reduce((sum, reading) => sum + reading[name], 0);
    const usages = await Promise.all(this.#processes.map((one) => one.usage()));
    const cpuSeconds = usages.reduce((sum, one) => sum + one.cpuSeconds, 0);
    const spent = cpuSeconds - this.#cpuSeconds;
    this.#cpuSeconds = cpuSeconds;
    const ages = new Map<number, number>();
    for (const [age, count] of readings.flatMap((reading) => reading.ages)) {
      ages.set(age, (ages.get(age) ?? 0) + count);
    }
    return {
      updates: total("updates"),
      fresh: total("fresh"),
      renewed: total("renewed"),
      frames: total("frames"),
      bytes: total("bytes"),
      alerts: total("alerts"),
      answers: total("answers"),
      open: total("open"),
      historySamples: readings.reduce((sum, one) => sum + one.historySamples, 0),
      historyEnds: readings.reduce((sum, one) => sum + one.historyEnds, 0),
      ages: [...ages].sort(([a], [b]) => a - b),
      ms: Math.max(...readings.map(({ ms }) => ms)),
      fewest: Math.min(...readings.map(({ fewest }) => fewest)),
      most: Math.max(...readings.map(({ most }) => most)),
      cpuSeconds: spent,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map((process) => process[Symbol.asyncDispose]()));
  }

  #ask<Answer>(order: Order): Promise<Answer[]> {
    return Promise.all(this.#processes.map((process) => process.ask<Answer>(order)));
  }
}

function share(count: number, { nth, of }: { readonly nth: number; readonly of: number }): number {
  return Math.floor(count / of) + (nth < count % of ? 1 : 0);
}
