// Why a question about the past has no answer now. It says when asking again may help, never what the database said.

export class HistoryError extends Error {
  override readonly name = "HistoryError";
  /** In how many milliseconds it may be worth asking again. */
  readonly retryAfterMs: number;

  constructor(
    message: string,
    { retryAfterMs, ...options }: ErrorOptions & { readonly retryAfterMs: number },
  ) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}
