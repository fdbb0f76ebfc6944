// The one error that leaves auth; its message must never hold a token or a claim.

/**
 * - `token_missing`: no token at all
 * - `invalid_token`: malformed, forged, expired, not yet valid, or meant for somebody else
 * - `not_allowed`: authentic, but its tenant or role may not come in
 * - `keys_unavailable`: nothing can be said about the token, as the issuer's keys were never reached
 */
export type AuthErrorCode = "token_missing" | "invalid_token" | "not_allowed" | "keys_unavailable";

/** Thrown for every token that gives no scope; `cause` says more to the log and holds no claims either. */
export class AuthError extends Error {
  override readonly name = "AuthError";
  readonly code: AuthErrorCode;

  constructor(code: AuthErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
