// Says that a command line can't be meant; it must never repeat a value that could be a secret.

export class UsageError extends Error {
  override readonly name = "UsageError";
}
