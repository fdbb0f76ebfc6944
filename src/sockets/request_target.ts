// The path and the query of a request as it stands in its first line, cut out of the text where a URL would leave it as
// it is, so that a handshake makes none. It must never say anything else than a URL.

/** Left as it is, but for characters of the query that a URL writes in another way and whoever reads them reads alike. */
const PLAIN_TARGET = /^\/[\w/-]*(?:\?[^#]*)?$/;

/** Null where it is no path. */
export function targetOf(target = "/"): Pick<URL, "pathname" | "search"> | null {
  if (!PLAIN_TARGET.test(target)) {
    return target.startsWith("/") ? URL.parse(`http://localhost${target}`) : null;
  }
  const mark = target.indexOf("?");
  return mark === -1
    ? { pathname: target, search: "" }
    : { pathname: target.slice(0, mark), search: target.slice(mark) };
}

/** A request's URL as the runtime makes it of the Host header and the target, as far as a URL would leave the host as it is. */
const PLAIN_URL = /^https?:\/\/[\w.:[\]-]+(\/.*)$/;

/**
 * The same of a whole URL. Who upgrades is asked for no more than this, and a URL costs more: a host that is plain and yet
 * none is not found out. Null where another makes no URL.
 */
export function targetInUrl(url: string): Pick<URL, "pathname" | "search"> | null {
  const [, target] = PLAIN_URL.exec(url) ?? [];
  return target === undefined ? URL.parse(url) : targetOf(target);
}
