// Finds a port for a server that can't be told to take any free one; it can only hope that nobody takes it meanwhile.

/** Below the ports that the system gives to clients; each test process looks in a part of them. */
const FIRST_PORT = 20_000;
const PARTS = 12;
const PART_SIZE = 1_000;

const given = new Set<number>();

export function freePort(): number {
  const first = FIRST_PORT + (Deno.pid % PARTS) * PART_SIZE;
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = first + Math.floor(Math.random() * PART_SIZE);
    // One that was given before may still be on its way to its server.
    if (given.has(port)) continue;
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      given.add(port);
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(
    `Cannot find a free port between ${first} and ${first + PART_SIZE}: 100 attempts failed`,
  );
}
