// Whose address a request counts for; a header says so only where a trusted proxy wrote it.
import { BlockList, isIP } from "node:net";

export class TrustedProxies {
  readonly #list = new BlockList();
  readonly #isEmpty: boolean;

  /** Takes addresses and networks (`10.0.0.0/8`). Throws what the runtime throws on anything else. */
  constructor(entries: readonly string[]) {
    this.#isEmpty = entries.length === 0;
    for (const entry of entries) {
      const [address = "", bits] = entry.split("/");
      const [family, width] = isIP(address) === 4 ? ["ipv4", 32] as const : ["ipv6", 128] as const;
      this.#list.addSubnet(address, bits === undefined ? width : Number(bits), family);
    }
  }

  trusts(address: string): boolean {
    if (this.#isEmpty) return false;
    const family = isIP(address);
    return family !== 0 && this.#list.check(address, family === 4 ? "ipv4" : "ipv6");
  }

  /** What a peer's connections count by before it has asked anything; null for a proxy's, which are others'. */
  keyOf(peer: string): string | null {
    const address = plain(peer);
    return this.trusts(address) ? null : addressKey(address);
  }

  /** The address that the nearest proxy we do not trust, or the client itself, has towards those we do. */
  clientOf(peer: string, headers: Pick<Headers, "get">): string {
    let client = plain(peer);
    if (!this.trusts(client)) return client;
    const hops = (headers.get("x-forwarded-for") ?? "").split(",").map((hop) => plain(hop.trim()));
    for (const hop of hops.reverse()) {
      // Whatever stands left of something that is no address may have been made up.
      if (isIP(hop) === 0) break;
      client = hop;
      if (!this.trusts(hop)) break;
    }
    return client;
  }
}

/** What limits count by: an IPv4 address, or the first 64 bits of an IPv6 one, which one machine has all of. */
export function addressKey(address: string): string {
  if (!address.includes(":") || isIP(address) !== 6) return address;
  const [left = "", right] = address.split("%")[0]?.split("::") ?? [];
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const groups = right === undefined
    ? head
    : [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail];
  return `${
    groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16)).join(":")
  }::/64`;
}

/** Without brackets, port, and the wrapping of an IPv4 address in an IPv6 one. */
function plain(address: string): string {
  if (!address.includes(":") && !address.startsWith("[")) return address;
  const bare = address.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(
    /^(\d+\.\d+\.\d+\.\d+):\d+$/,
    "$1",
  );
  return bare.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
}
