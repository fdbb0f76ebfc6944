// An issuer's keys as a key source; it must never fetch them itself, nor serve an algorithm that knows no public key.
import { createLocalJWKSet, errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import { AuthError } from "./auth_error.ts";
import type { FetchedKeys, KeySet } from "./key_set.ts";
import type { Authentic, ClaimRules, KeySource, KeysState, VerificationKey } from "./key_source.ts";
import type { Claims } from "./scope.ts";

const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/** What is made of a set to verify with. */
interface Keys {
  /** The document it was made of: the same text again is the same set. */
  readonly text: string;
  readonly find: ReturnType<typeof createLocalJWKSet>;
  /** The keys that were found in it. */
  readonly found: WeakSet<VerificationKey>;
}

export class RemoteKeys implements KeySource {
  readonly #set: KeySet;
  #keys: Keys | null = null;
  /** Of the newest that was used. */
  #number = 0;

  constructor(set: KeySet) {
    this.#set = set;
  }

  get state(): KeysState {
    return this.#set.state;
  }

  async authenticate(token: string, rules: ClaimRules): Promise<Authentic> {
    const options = { ...rules, algorithms: ALGORITHMS };
    try {
      const { payload, key } = await jwtVerify(token, this.#find, options);
      return { claims: payload, key };
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      return { claims: await verifyWithAny(token, { candidates: error, options }), key: null };
    }
  }

  async holds(key: VerificationKey): Promise<boolean> {
    return this.#usable(await this.#set.current()).found.has(key);
  }

  reach(): Promise<boolean> {
    return this.#set.reach();
  }

  readonly #find: JWTVerifyGetKey<CryptoKey> = async (header, jws) => {
    const keys = this.#usable(await this.#set.current());
    const number = this.#number;
    try {
      return await findIn(keys, { header, jws });
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const newer = this.#usable(await this.#set.after(number));
      if (newer === keys) throw error;
      return await findIn(newer, { header, jws });
    }
  };

  /** What was verified with a set need not be verified again when the issuer only says it again. */
  #usable(fetched: FetchedKeys | null): Keys {
    if (fetched === null) {
      throw new AuthError("keys_unavailable", "Failed to reach the issuer's keys", {
        cause: this.#set.state.failure,
      });
    }
    const { number, text } = fetched;
    // Who waited may be handed older keys than others have used meanwhile.
    if (this.#keys !== null && number <= this.#number) return this.#keys;
    if (this.#keys?.text !== text) {
      this.#keys = { text, find: createLocalJWKSet(JSON.parse(text)), found: new WeakSet() };
    }
    this.#number = number;
    return this.#keys;
  }
}

async function findIn(
  keys: Keys,
  { header, jws }: {
    readonly header: Parameters<Keys["find"]>[0];
    readonly jws: Parameters<Keys["find"]>[1];
  },
): Promise<CryptoKey> {
  const key = await keys.find(header, jws);
  keys.found.add(key);
  return key;
}

/** A token without `kid` may fit several keys of a set, as it does while an issuer rotates. */
async function verifyWithAny(
  token: string,
  { candidates, options }: {
    readonly candidates: AsyncIterable<CryptoKey>;
    readonly options: ClaimRules & { readonly algorithms: string[] };
  },
): Promise<Claims> {
  for await (const key of candidates) {
    try {
      return (await jwtVerify(token, key, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new errors.JWSSignatureVerificationFailed();
}
