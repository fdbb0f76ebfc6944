// The files of the page at `/`, by their path; nothing else of the disk can be asked for. They were built before: see
// docs/DASHBOARD.md for why the built ones are kept with the sources.

export interface PageOptions {
  /** Where the page may sign people in; null where tokens come from elsewhere. */
  readonly oidc: {
    readonly issuer: string;
    readonly clientId: string;
    readonly scope: string;
  } | null;
  /** Silence after which a device is stale. */
  readonly staleSeconds: number;
}

/** Sent with every file of the page: it loads from here only, and talks to here and to the issuer only. */
export function pageHeaders({ oidc }: PageOptions): Readonly<Record<string, string>> {
  const connect = oidc === null ? "'self'" : `'self' ${new URL(oidc.issuer).origin}`;
  return {
    "content-security-policy": [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data:",
      `connect-src ${connect}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join("; "),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
  };
}

/** What the page is told before anybody is signed in: nothing of it is secret. */
export function pageConfig({ oidc, staleSeconds }: PageOptions): object {
  return {
    oidc: oidc === null
      ? null
      : { issuer: oidc.issuer, client_id: oidc.clientId, scope: oidc.scope },
    stale_seconds: staleSeconds,
  };
}

export const PAGE_CONFIG_PATH = "/dashboard/config.json";

const FILES: Readonly<Record<string, { readonly name: string; readonly contentType: string }>> = {
  "/": { name: "dashboard.html", contentType: "text/html; charset=utf-8" },
  "/dashboard.css": { name: "dashboard.css", contentType: "text/css; charset=utf-8" },
  "/dashboard.js": { name: "dashboard.js", contentType: "text/javascript; charset=utf-8" },
};

export interface PageFile {
  readonly text: string;
  readonly contentType: string;
}

/** The file that stands at a path, or null where none does. */
export async function pageFile(path: string): Promise<PageFile | null> {
  if (!Object.hasOwn(FILES, path)) return null;
  const file = FILES[path];
  if (file === undefined) return null;
  const text = await Deno.readTextFile(new URL(`assets/${file.name}`, import.meta.url));
  return { text, contentType: file.contentType };
}
