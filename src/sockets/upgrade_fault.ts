// Says what is wrong with a request that wants to become a WebSocket, before anybody looks at its token: the engines
// would find out only afterwards, or not at all.

/** 16 bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;

/** The answer to an upgrade that RFC 6455 does not allow, or null when it does. */
export function upgradeFault(
  { method, headers }: { readonly method: string; readonly headers: Pick<Headers, "get"> },
): Response | null {
  if (method !== "GET") {
    return new Response("Upgrade with GET\n", { status: 405, headers: { allow: "GET" } });
  }
  const connection = (headers.get("connection") ?? "").toLowerCase().split(",");
  if (!connection.some((word) => word.trim() === "upgrade")) {
    return new Response("Connection header must say Upgrade\n", { status: 400 });
  }
  if (headers.get("sec-websocket-version")?.trim() !== "13") {
    return new Response("WebSocket version must be 13\n", {
      status: 426,
      headers: { "sec-websocket-version": "13" },
    });
  }
  if (!KEY.test(headers.get("sec-websocket-key")?.trim() ?? "")) {
    return new Response("Sec-WebSocket-Key must be 16 bytes in base64\n", { status: 400 });
  }
  return null;
}
