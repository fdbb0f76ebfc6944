// Decides which stored fields are metrics; it must know names only, never a fixed list of metrics.

/** Names of columns that InfluxDB 3 adds by itself. */
const internalPrefix = "iox::";

/** Makes the test that a field's name passes when it is neither one of `metadataKeys` nor the database's own. */
export function createMetricFilter(metadataKeys: readonly string[]): (name: string) => boolean {
  const dropped = new Set(metadataKeys);
  return (name) => !dropped.has(name) && !name.startsWith(internalPrefix);
}
