// What was written for whom, what clients saw, and every breach of the rules; the only judge of the stress.
export class StressLedger {
  /** The newest number written for each tenant's device. */
  readonly #written = new Map<string, number>();
  readonly #breaches = new Map<string, string[]>();
  readonly #counts = new Map<string, number>();
  readonly secret: string;

  constructor(secret: string) {
    this.secret = secret;
  }

  /** Notes a value before it is written, as it may be read before the writer hears that it was. */
  writing(tenantId: string, deviceId: string): number {
    const key = `${tenantId}/${deviceId}`;
    const number = (this.#written.get(key) ?? 0) + 1;
    this.#written.set(key, number);
    return number;
  }

  /** What a value must carry to be its tenant's own. */
  proof(tenantId: string, deviceId: string, number: number): string {
    return `${this.secret}:${tenantId}/${deviceId}#${number}`;
  }

  /**
   * The number of a value that the tenant's writer wrote for the device, or null where it did not write this.
   * A point's fields are not written at once by InfluxDB: a read may find one of the two and not yet the other.
   */
  numberOf(
    metrics: Readonly<Record<string, unknown>>,
    { tenantId, deviceId }: { tenantId: string; deviceId: string },
  ): number | null {
    const { n, proof } = metrics;
    if (n === undefined || proof === undefined) this.count("values of which a field was missing");
    const number = Number(n ?? String(proof).split("#")[1]);
    const isWritten = Number.isInteger(number) && number >= 1 &&
      number <= (this.#written.get(`${tenantId}/${deviceId}`) ?? 0);
    const isOwn = proof === undefined || proof === this.proof(tenantId, deviceId, number);
    return isWritten && isOwn ? number : null;
  }

  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  breach(rule: string, example: string): void {
    const examples = this.#breaches.get(rule);
    if (examples === undefined) this.#breaches.set(rule, [example]);
    else examples.push(example);
  }

  countOf(what: string): number {
    return this.#counts.get(what) ?? 0;
  }

  get hasBreach(): boolean {
    return this.#breaches.size > 0;
  }

  /** A line for each thing that was counted, then one for each rule that was broken, with examples. */
  table(): string {
    const names = [...this.#counts.keys()].sort();
    const width = Math.max(24, ...names.map(({ length }) => length));
    const rows = names.map((name) =>
      `  ${name.padEnd(width)} ${String(this.#counts.get(name)).padStart(10)}`
    );
    const breaches = [...this.#breaches].flatMap(([rule, examples]) => [
      `  BREACH ${rule} (${examples.length} times)`,
      ...examples.slice(0, 3).map((example) => `         ${example.slice(0, 400)}`),
    ]);
    return [...rows, "", ...(breaches.length === 0 ? ["  no breach"] : breaches)].join("\n");
  }
}
