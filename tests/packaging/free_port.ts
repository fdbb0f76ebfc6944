// A loopback port for a server that can't be asked to take any; it must not be one that a connection may have taken.

/** Below 32768, where no outgoing connection can have taken it. */
export function freePort(): number {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error("Cannot find a free port between 20000 and 32000: 100 attempts failed");
}
