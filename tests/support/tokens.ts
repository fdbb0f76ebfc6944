// Signs tokens for tests with real keys; it must never be imported by src.
import { base64url, CompactSign, exportJWK, generateKeyPair, type JWK } from "jose";

/** The shared secret that `signToken` signs with unless told otherwise. */
export const TEST_SECRET = "a-shared-secret-of-the-test-suite-only-0001";

/** A private key (or secret) that signs, and the public JWK an issuer would publish for it. */
export interface Signer {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly key: CryptoKey | Uint8Array<ArrayBuffer>;
  readonly jwk: JWK;
}

export interface SignOptions {
  /** Default: HS256 with TEST_SECRET. */
  readonly signer?: Signer;
  /** Header parameters beside `alg` and `kid`; undefined leaves one out. */
  readonly header?: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch that the default `iat` and `exp` count from. Default: now. */
  readonly nowMs?: number;
}

/** Defaults: tenant acme, user-1, user@example.com, customer_viewer, one hour. A claim set to undefined is left out. */
export function signToken(
  claims: Readonly<Record<string, unknown>> = {},
  options: SignOptions = {},
): Promise<string> {
  const issuedAt = Math.floor((options.nowMs ?? Date.now()) / 1000);
  const payload = {
    sub: "user-1",
    tenant_id: "acme",
    email: "user@example.com",
    role: "customer_viewer",
    iat: issuedAt,
    exp: issuedAt + 3600,
    ...claims,
  };
  return signPayload(JSON.stringify(payload), options);
}

/** Signs a payload's text as it stands, for what JSON.stringify would never write. */
export function signPayload(payload: string, options: SignOptions = {}): Promise<string> {
  const signer = options.signer ?? secretSigner(TEST_SECRET);
  const header = { alg: signer.alg, kid: signer.kid, typ: "JWT", ...options.header };
  return new CompactSign(new TextEncoder().encode(payload))
    .setProtectedHeader(JSON.parse(JSON.stringify(header)))
    .sign(signer.key);
}

/** A signer that uses a secret, which may be anything an attacker would try as one. */
export function secretSigner(secret: string, kid?: string): Signer {
  const key = new TextEncoder().encode(secret);
  return { alg: "HS256", kid, key, jwk: { kty: "oct", k: base64url.encode(key) } };
}

/** A fresh key pair for an asymmetric algorithm. */
export async function generateSigner(alg: string, kid?: string): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const names = kid === undefined ? {} : { kid };
  const jwk: JWK = { ...(await exportJWK(publicKey)), ...names, alg, use: "sig" };
  return { alg, kid, key: privateKey, jwk };
}

/** An HS256 token out of two JSON texts as they stand; the header may say anything. */
export async function signRaw(
  header: string,
  payload: string,
  secret = TEST_SECRET,
): Promise<string> {
  const encoder = new TextEncoder();
  const input = `${base64url.encode(header)}.${base64url.encode(payload)}`;
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, [
    "sign",
  ]);
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(input));
  return `${input}.${base64url.encode(new Uint8Array(signature))}`;
}
