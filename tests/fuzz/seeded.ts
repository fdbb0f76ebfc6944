// Runs properties and random scripts from a seed: a fresh one by default, printed when something fails, PROPERTY_SEED
// to play it again. Nothing random in a fuzzer may come from anywhere else.
import fc from "fast-check";

/** The seed of this run: 31 bits, as fast-check takes them. */
export const SEED = seedOf(Deno.env.get("PROPERTY_SEED"));

/** Holds a property; its failure names the seed and the smallest example that was found. */
export async function holds<Values>(
  property: fc.IRawProperty<Values>,
  { numRuns }: { readonly numRuns: number },
): Promise<void> {
  await fc.assert(property, { numRuns, seed: SEED });
}

/** Names the seed in whatever a script throws. */
export async function seeded(script: (random: Random) => Promise<void>): Promise<void> {
  try {
    await script(new Random(SEED));
  } catch (error) {
    throw new Error(`Failed with PROPERTY_SEED=${SEED}`, { cause: error });
  }
}

/** A small generator (mulberry32) whose whole state is its seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to and without 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<const T>(items: readonly T[]): T {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) throw new RangeError("Cannot pick from nothing");
    return item;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.integer(0, 255));
  }

  /** A generator of its own, for one of many that run side by side. */
  fork(): Random {
    return new Random(this.integer(0, 2 ** 31));
  }
}

function seedOf(text: string | undefined): number {
  if (text === undefined || text === "") {
    return crypto.getRandomValues(new Uint32Array(1))[0]! >>> 1;
  }
  if (!/^-?\d+$/.test(text)) {
    throw new RangeError(`PROPERTY_SEED must be a whole number, it is ${text}`);
  }
  return Number(text) | 0;
}
