// Lets a connection go on with another token of the same tenant and user. Until that one is verified the old one counts;
// it must never change whom a connection acts for.
import { AuthError } from "../auth/auth_error.ts";
import type { Verifier } from "../auth/verifier.ts";
import type { Log } from "../observe/log.ts";
import type { Connection } from "./connection.ts";
import type { TokenLife } from "./token_life.ts";

export interface RenewOptions {
  readonly connection: Connection;
  readonly tokenLife: TokenLife;
  readonly verifier: Verifier;
  readonly log: Log;
}

/** `gone`: the connection has ended meanwhile. `internal` is a fault of ours and stands in the log with its cause. */
export type Renewal =
  | "renewed"
  | "gone"
  | "invalid_token"
  | "not_allowed"
  | "keys_unavailable"
  | "internal";

/** Never rejects. */
export async function renewToken(
  token: string,
  { connection, tokenLife, verifier, log }: RenewOptions,
): Promise<Renewal> {
  const { id, scope: before } = connection;
  try {
    const scope = await verifier.verify(token);
    // The socket went, or its old token ended, while this one was verified.
    if (connection.isEnded) return "gone";
    if (scope.tenantId !== before.tenantId || scope.userId !== before.userId) return "not_allowed";
    tokenLife.renew(scope.expiresAt);
    return "renewed";
  } catch (error) {
    if (!(error instanceof AuthError)) {
      log.error("auth_failed", { connection: id, error });
      return "internal";
    }
    if (connection.isEnded) return "gone";
    log.info("auth_refused", { connection: id, reason: error.code });
    switch (error.code) {
      case "not_allowed":
      case "keys_unavailable":
        return error.code;
      default:
        return "invalid_token";
    }
  }
}
