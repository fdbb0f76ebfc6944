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
