// What went wrong, for programs and for people; it must never hold a token or an address that carries one.

/**
 * Codes of the service's `error` messages as they are on the wire, and the library's own:
 * `listener_failed` (a listener threw), `token_failed` (the token could not be had), `socket_failed` (no socket could be
 * made), `invalid_data` (a message could not be read), `unauthorized` and `refused` (the connection ended and does not
 * come back by itself).
 */
export class PulsewireError extends Error {
  override readonly name = "PulsewireError";
  readonly code: string;
  /** The devices that it is about, where it is about some. */
  readonly deviceIds: readonly string[];

  constructor(
    code: string,
    message: string,
    { cause, deviceIds = [] }: { cause?: unknown; deviceIds?: readonly string[] } = {},
  ) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    this.deviceIds = deviceIds;
  }
}
