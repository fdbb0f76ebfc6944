// Says why nothing could be listened on, in a sentence for whoever started the service.
export class ListenError extends Error {
  override readonly name = "ListenError";

  constructor({ hostname, port }: { hostname: string; port: number }, cause: unknown) {
    const reason = cause instanceof Deno.errors.AddrInUse
      ? "it is in use"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    super(`Cannot listen on ${hostname} port ${port}: ${reason}`, { cause });
  }

  get isInUse(): boolean {
    return this.cause instanceof Deno.errors.AddrInUse;
  }
}
