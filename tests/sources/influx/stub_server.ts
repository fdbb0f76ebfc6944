// A loopback stand-in for an InfluxDB that misbehaves or replays; it must never pretend to run a query.

export interface StubRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface StubServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly StubRequest[];
}

/** Answers HTTP requests and keeps them. */
export function serveStub(
  answer: (request: StubRequest) => Response | Promise<Response>,
): StubServer {
  const requests: StubRequest[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      const { method, headers } = request;
      const kept = { method, path: pathname + search, headers, body: await request.text() };
      requests.push(kept);
      return await answer(kept);
    },
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Answers the first request of each connection with raw bytes and closes it, whatever was promised. */
export function serveBytes(answer: string): AsyncDisposable & { readonly url: string } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(65_536));
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    }
  })();
  return {
    url: `http://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}
