// Keeps everything that was logged under test, so that the run can look through all of it at the end for what must never
// stand in a log. Outside such a run it keeps nothing.
import { TEST_SECRET } from "./tokens.ts";

/** Names the folder that logs are kept in. */
export const KEPT_LOGS_VARIABLE = "PULSEWIRE_KEPT_LOGS";

const folder = Deno.permissions.querySync({ name: "env", variable: KEPT_LOGS_VARIABLE }).state ===
    "granted"
  ? Deno.env.get(KEPT_LOGS_VARIABLE)
  : undefined;

export function keepLog(text: string): void {
  if (folder === undefined) return;
  Deno.writeTextFileSync(`${folder}/${Deno.pid}.log`, text.endsWith("\n") ? text : `${text}\n`, {
    append: true,
  });
}

/** What a token, a ticket, a secret or a password in an address looks like. */
const SECRETS: ReadonlyArray<readonly [kind: string, form: RegExp]> = [
  // Every JWT begins so, and so does every part of one that was cut off.
  ["token", /eyJ[A-Za-z0-9_-]{16,}/],
  ["bearer credential", /\bBearer\s+[A-Za-z0-9._~+/-]{12,}/i],
  ["token or ticket in a query", /[?&](?:token|ticket|access_token)=[^&\s"'…*]{8,}/i],
  ["ticket", /"ticket"\s*:\s*"[^"]{8,}"/],
  ["shared secret", new RegExp(TEST_SECRET)],
  ["password in an address", /\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"]+:[^\s/@"]+@/i],
];

export interface FoundSecret {
  readonly kind: string;
  /** The line with what was found taken out. */
  readonly line: string;
}

export function findSecrets(text: string): readonly FoundSecret[] {
  return text.split("\n").flatMap((line) =>
    SECRETS.filter(([, form]) => form.test(line)).map(([kind, form]) => ({
      kind,
      line: line.replace(form, "<here>").slice(0, 400),
    }))
  );
}

/** Looks through all that was kept in the folder. */
export function lookThrough(
  kept: string,
): { readonly bytes: number; readonly found: readonly FoundSecret[] } {
  let bytes = 0;
  const found: FoundSecret[] = [];
  for (const { name } of Deno.readDirSync(kept)) {
    const text = Deno.readTextFileSync(`${kept}/${name}`);
    bytes += text.length;
    found.push(...findSecrets(text));
  }
  return { bytes, found };
}
