// The service's clock as far as a browser can know it, for ages: many a browser's own is minutes off.

/** A clock that is off by less is taken as right: that is as well as it can be known. */
const SKEW_MS = 3_000;

export class ServiceClock {
  #skewMs = 0;

  now(): number {
    return Date.now() + this.#skewMs;
  }

  /** Asks the service for its time; where nobody answers, what was known goes on. */
  async measure(base: URL): Promise<void> {
    const sentAt = Date.now();
    try {
      const response = await fetch(new URL("livez", base), { method: "HEAD", cache: "no-store" });
      const date = Date.parse(response.headers.get("date") ?? "");
      // The header has whole seconds: half a second is what it leaves out on average.
      const skew = date + 500 - (sentAt + Date.now()) / 2;
      if (!Number.isNaN(skew)) this.#skewMs = Math.abs(skew) > SKEW_MS ? skew : 0;
    } catch {
      // The connection's state says what is wrong with the network.
    }
  }
}
