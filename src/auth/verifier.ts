// Turns a token into a scope or an AuthError; it must never take key, algorithm or address from the token itself.
import { base64url, errors } from "jose";
import type { Clock } from "../clock.ts";
import type { Log } from "../observe/log.ts";
import { AuthError } from "./auth_error.ts";
import { hasDuplicateMember } from "./has_duplicate_member.ts";
import { createKeySource, type KeyOptions } from "./create_key_source.ts";
import type { Authentic, ClaimRules, KeySource, KeysState } from "./key_source.ts";
import { digestOf, RememberedTokens, type VerifiedToken } from "./remembered_tokens.ts";
import { type Claims, type Scope, scopeOf, type ScopeRules } from "./scope.ts";
import { TurnGate } from "./turn_gate.ts";

/** Bytes of the longest token that is looked at: the usual bound of a whole request's headers, and of proxies before us. */
export const MAX_TOKEN_BYTES = 8 * 1024;

/** Three non-empty parts in base64url; so an unsigned or an encrypted token never reaches a parser. */
const COMPACT_FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

export interface VerifierOptions extends ScopeRules {
  readonly keys: KeyOptions;
  /** Expected `iss`; where the keys are found from an OIDC issuer, that issuer by default. */
  readonly issuer?: string | undefined;
  /** Expected `aud`: one of these. */
  readonly audience?: string | readonly string[] | undefined;
  readonly clock: Clock;
  readonly log?: Log | undefined;
  /** Ends fetches of keys that are under way. */
  readonly signal?: AbortSignal | undefined;
}

export interface Verifier {
  /** Throws AuthError, and nothing else, for a token that gives no scope. */
  verify(token: string): Promise<Scope>;
  /** Tries to have keys, as often as the cooldown lets it, and says whether there are any; never rejects. */
  reach(): Promise<boolean>;
  readonly state: KeysState;
}

/** Throws where the options can't be right; it fetches no keys yet. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { clockToleranceSeconds, allowedRoles } = options;
  if (!Number.isFinite(clockToleranceSeconds) || clockToleranceSeconds < 0) {
    throw new RangeError(`Clock tolerance must be 0 s or more, it is ${clockToleranceSeconds}`);
  }
  if (allowedRoles.length === 0) throw new RangeError("Allowed roles must name at least one role");
  return new TokenVerifier(options);
}

class TokenVerifier implements Verifier {
  readonly #options: VerifierOptions;
  readonly #keys: KeySource;
  readonly #rules: ClaimRules;
  readonly #remembered = new RememberedTokens();
  readonly #gate = new TurnGate();
  /** Verifications under way, by the digest of their token. */
  readonly #underWay = new Map<string, Promise<Judged>>();
  /** The encoded header that was last found to name nothing twice: tokens of one key share it. */
  #uniqueHeader = "";

  constructor(options: VerifierOptions) {
    const { keys, audience } = options;
    this.#options = options;
    this.#keys = createKeySource(keys, options);
    const issuer = options.issuer ?? (keys.kind === "issuer" ? keys.issuer : undefined);
    this.#rules = {
      clockTolerance: options.clockToleranceSeconds,
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined
        ? {}
        : { audience: typeof audience === "string" ? audience : [...audience] }),
    };
  }

  get state(): KeysState {
    return this.#keys.state;
  }

  reach(): Promise<boolean> {
    return this.#keys.reach();
  }

  async verify(token: string): Promise<Scope> {
    if (token === "") throw new AuthError("token_missing", "Token is missing");
    if (token.length > MAX_TOKEN_BYTES) {
      throw invalid(`Token has ${token.length} bytes, at most ${MAX_TOKEN_BYTES} are read`);
    }
    if (!COMPACT_FORM.test(token)) throw invalid("Token is not a signed JWT in compact form");
    const judged = await this.#verified(token);
    this.#assertCurrent(judged);
    return judged.scope;
  }

  /** Skips nothing but the signature, and what follows from the token's bytes alone, where both were seen to be right. */
  async #verified(token: string): Promise<Judged> {
    const digest = digestOf(token);
    const known = this.#remembered.find(digest);
    if (known !== undefined) {
      if (this.#options.clock.now() < known.scope.expiresAt && await this.#keys.holds(known.key)) {
        return known;
      }
      this.#remembered.forget(digest);
    }
    const underWay = this.#underWay.get(digest);
    if (underWay !== undefined) return await underWay;
    const judging = this.#judged(token, digest).finally(() => this.#underWay.delete(digest));
    this.#underWay.set(digest, judging);
    return await judging;
  }

  /** In a row with all that came in the same turn: what one verification fetches from memory, the next has at hand. */
  async #judged(token: string, digest: string): Promise<Judged> {
    await this.#gate.pass();
    const authentic = await this.#authenticate(token);
    return this.#judge(authentic, { token, digest });
  }

  #judge(
    { claims, key }: Authentic,
    { token, digest }: { readonly token: string; readonly digest: string },
  ): Judged {
    this.#assertUniqueNames(token, claims);
    const judged = {
      scope: scopeOf(claims, this.#options),
      notBefore: instantOf(claims.nbf),
      issuedAt: instantOf(claims.iat),
    };
    if (key !== null) this.#remembered.remember(digest, { ...judged, key });
    return judged;
  }

  #authenticate(token: string): Authentic | Promise<Authentic> {
    const rules = { ...this.#rules, currentDate: new Date(this.#options.clock.now()) };
    try {
      const authentic = this.#keys.authenticate(token, rules);
      return authentic instanceof Promise ? authentic.catch(refuse) : authentic;
    } catch (error) {
      return refuse(error);
    }
  }

  /** Two readers of a text that names a claim twice could see two tenants. */
  #assertUniqueNames(token: string, claims: Claims): void {
    const [header = "", payload = ""] = token.split(".", 2);
    if (header !== this.#uniqueHeader) {
      assertUniqueNamesIn(textOf(header));
      this.#uniqueHeader = header;
    }
    // What is written again as it was read names nothing twice; most issuers write as JSON.stringify does.
    if (base64url.encode(JSON.stringify(claims)) !== payload) assertUniqueNamesIn(textOf(payload));
  }

  /** jose rounds its clock down to seconds, knows no future `iat`, and read the clock before the keys came. */
  #assertCurrent({ scope, notBefore, issuedAt }: Judged): void {
    const nowMs = this.#options.clock.now();
    if (nowMs >= scope.expiresAt) throw invalid("Token has expired");
    const latestMs = nowMs + this.#options.clockToleranceSeconds * 1000;
    if (notBefore > latestMs) throw invalid("Token is not valid yet");
    if (issuedAt > latestMs) throw invalid("Token was issued in the future");
  }
}

/** What a token says; whether it does so now is judged each time. */
type Judged = Omit<VerifiedToken, "key">;

function instantOf(seconds: unknown): number {
  return typeof seconds === "number" ? seconds * 1000 : -Infinity;
}

function assertUniqueNamesIn(json: string): void {
  if (hasDuplicateMember(json)) throw invalid("Token names a claim or a header parameter twice");
}

const decoder = new TextDecoder();

function textOf(part: string): string {
  return decoder.decode(base64url.decode(part));
}

function refuse(error: unknown): never {
  if (error instanceof AuthError) throw error;
  throw invalid("Token can't be verified", { cause: causeOf(error) });
}

/** jose's errors carry claims and text out of the token; only their codes may leave. */
function causeOf(error: unknown): unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  const isAboutClaim = error instanceof errors.JWTClaimValidationFailed ||
    error instanceof errors.JWTExpired;
  return new Error(isAboutClaim ? `${error.code}: ${error.claim} ${error.reason}` : error.code);
}

function invalid(message: string, options?: ErrorOptions): AuthError {
  return new AuthError("invalid_token", message, options);
}
