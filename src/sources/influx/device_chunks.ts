// Cuts a long list of devices into the parts that one query each may name; it must lose none and repeat none.

/** Parts of nearly equal length, at most `maxLength` each, in order. */
export function deviceChunks(
  deviceIds: readonly string[],
  maxLength: number,
): readonly (readonly string[])[] {
  const count = Math.ceil(deviceIds.length / maxLength);
  const length = Math.ceil(deviceIds.length / count);
  return Array.from(
    { length: count },
    (_, index) => deviceIds.slice(index * length, (index + 1) * length),
  );
}
