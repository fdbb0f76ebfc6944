// The files of the page at `/`, by their path; nothing else of the disk can be asked for.

/** Sent with every file of the page: it loads from here only and talks to here only. */
export const PAGE_HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "cache-control": "no-cache",
} as const;

const SCRIPT = "text/javascript; charset=utf-8";

const FILES: Readonly<Record<string, { readonly name: string; readonly contentType: string }>> = {
  "/": { name: "page.html", contentType: "text/html; charset=utf-8" },
  "/page.css": { name: "page.css", contentType: "text/css; charset=utf-8" },
  "/page.js": { name: "page.js", contentType: SCRIPT },
  "/page_alerts.js": { name: "page_alerts.js", contentType: SCRIPT },
  "/page_devices.js": { name: "page_devices.js", contentType: SCRIPT },
  "/page_link.js": { name: "page_link.js", contentType: SCRIPT },
  "/page_metric.js": { name: "page_metric.js", contentType: SCRIPT },
  "/page_session.js": { name: "page_session.js", contentType: SCRIPT },
  "/page_sparkline.js": { name: "page_sparkline.js", contentType: SCRIPT },
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
  const text = await Deno.readTextFile(new URL(file.name, import.meta.url));
  return { text, contentType: file.contentType };
}
