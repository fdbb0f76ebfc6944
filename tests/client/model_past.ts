// One subscribe that asks a model of the service for a past: it is answered once, for all devices that it names.
export interface ModelPastOptions {
  readonly id: unknown;
  /** Where each device is asked to begin; of every device that of `*`. */
  readonly from: ReadonlyMap<string, string>;
  readonly say: (message: object) => void;
}

export class ModelPast {
  readonly id: unknown;
  readonly from: ReadonlyMap<string, string>;
  readonly #say: ModelPastOptions["say"];
  readonly #left = new Set<string>();
  #isAnswered = false;

  constructor({ id, from, say }: ModelPastOptions) {
    this.id = id;
    this.from = from;
    this.#say = say;
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Says where devices begin; those of `*` are the ones that were found. */
  answer(found: readonly string[]): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    const all = this.from.get("*");
    const begun = all === undefined ? this.from : new Map(found.map((id) => [id, all] as const));
    const resume = Object.fromEntries(
      [...begun].map(([deviceId, from]) => [
        deviceId,
        this.#left.has(deviceId)
          ? { from, complete: false, reason: "replaced" }
          : { from, complete: true },
      ]),
    );
    this.#tell(resume);
  }

  /** Another message took the place of this one, or ended it, for one of its devices; with the last it is answered. */
  leave(deviceId: string): void {
    this.#left.add(deviceId);
    if (this.#isAnswered || this.#left.size < this.from.size) return;
    this.#isAnswered = true;
    const replaced = [...this.from].map(([id, from]) =>
      [id, { from, complete: false, reason: "replaced" }] as const
    );
    this.#tell(Object.fromEntries(replaced));
  }

  #tell(resume: object): void {
    const device_ids = [...this.from.keys()];
    const named = device_ids.length === 1 ? { device_id: device_ids[0] } : { device_ids };
    this.#say({ type: "subscribed", channel: "device", ...named, id: this.id, resume });
  }
}
