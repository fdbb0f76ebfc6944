// Damages bytes and text as wires, disks and attackers do; what a mutation is must be plain data, so that a failing one
// can be made smaller and shown.
import fc from "fast-check";

type Mutation =
  | { readonly kind: "flip"; readonly at: number; readonly bit: number }
  | { readonly kind: "set"; readonly at: number; readonly byte: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "drop" | "repeat"; readonly at: number; readonly length: number }
  | { readonly kind: "insert"; readonly at: number; readonly text: string };

/** A place anywhere in what is damaged, as a fraction of its length. */
const at = fc.double({ min: 0, max: 1, noNaN: true });

/** Mutations; `splices` are texts of the format that may be put in anywhere. */
export function mutations(
  splices: readonly string[],
  { maxLength = 6 }: { readonly maxLength?: number } = {},
): fc.Arbitrary<readonly Mutation[]> {
  const mutation: fc.Arbitrary<Mutation> = fc.oneof(
    fc.record({ kind: fc.constant("flip" as const), at, bit: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant("set" as const), at, byte: fc.nat({ max: 255 }) }),
    fc.record({ kind: fc.constant("cut" as const), at }),
    fc.record({
      kind: fc.constantFrom("drop" as const, "repeat" as const),
      at,
      length: fc.integer({ min: 1, max: 64 }),
    }),
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("insert" as const),
        at,
        text: fc.oneof(fc.constantFrom(...splices), fc.string({ maxLength: 8 })),
      }),
    },
  );
  return fc.array(mutation, { minLength: 1, maxLength });
}

export function mutate(bytes: Uint8Array, steps: readonly Mutation[]): Uint8Array<ArrayBuffer> {
  return steps.reduce<Uint8Array<ArrayBuffer>>(mutateOnce, Uint8Array.from(bytes));
}

/** Of text in, text out; bytes that are no UTF-8 any more become U+FFFD. */
export function mutateText(text: string, steps: readonly Mutation[]): string {
  return new TextDecoder().decode(mutate(new TextEncoder().encode(text), steps));
}

function mutateOnce(bytes: Uint8Array<ArrayBuffer>, step: Mutation): Uint8Array<ArrayBuffer> {
  const index = Math.min(bytes.length, Math.floor(step.at * (bytes.length + 1)));
  switch (step.kind) {
    case "flip":
    case "set":
      if (index < bytes.length) {
        bytes[index] = step.kind === "set" ? step.byte : bytes[index]! ^ (1 << step.bit);
      }
      return bytes;
    case "cut":
      return bytes.slice(0, index);
    case "drop":
      return joined(bytes.subarray(0, index), bytes.subarray(index + step.length));
    case "repeat":
      return joined(bytes.subarray(0, index + step.length), bytes.subarray(index));
    case "insert":
      return joined(
        bytes.subarray(0, index),
        new TextEncoder().encode(step.text),
        bytes.subarray(index),
      );
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
