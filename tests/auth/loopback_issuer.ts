// A real OIDC issuer on loopback that can rotate its keys, go down and misbehave; only for tests.
import type { JWK } from "jose";

export type Behaviour =
  | "well"
  /** Status 503. */
  | "failing"
  /** Takes the request and never answers. */
  | "hanging"
  /** Status 200 with text that is not JSON. */
  | "garbage"
  /** Never stops sending. */
  | "endless"
  /** Status 302 to `redirectTo`. */
  | "redirecting"
  /** A key set without keys. */
  | "empty";

/** Serves a discovery document and a key set, and counts who asks for what. */
export class LoopbackIssuer implements AsyncDisposable {
  behaviour: Behaviour = "well";
  keys: readonly JWK[];
  redirectTo = "";
  /** Called when a request was taken that will hang. */
  onHanging: () => void = () => {};
  /** What the discovery document says; by default the truth. */
  discovery: Record<string, unknown> | null = null;
  readonly requests: string[] = [];
  readonly port: number;
  #server: Deno.HttpServer | null = null;
  #ended = new AbortController();

  constructor(keys: readonly JWK[]) {
    this.keys = keys;
    this.port = this.#listen(0);
  }

  get issuer(): string {
    return `http://127.0.0.1:${this.port}/realms/iot`;
  }

  get jwksUrl(): URL {
    return new URL(`${this.issuer}/certs`);
  }

  countOf(path: string): number {
    return this.requests.filter((request) => request.endsWith(path)).length;
  }

  /** Closes the port, so that connections are refused. */
  async goDown(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.#ended.abort();
    await server?.shutdown();
  }

  comeBack(): void {
    this.#ended = new AbortController();
    this.#listen(this.port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.goDown();
  }

  #listen(port: number): number {
    const options = { hostname: "127.0.0.1", port, onListen: () => {} };
    const server = Deno.serve(options, (request) => this.#answer(new URL(request.url).pathname));
    this.#server = server;
    return server.addr.port;
  }

  async #answer(path: string): Promise<Response> {
    this.requests.push(path);
    switch (this.behaviour) {
      case "failing":
        return new Response("in trouble", { status: 503 });
      case "hanging":
        this.onHanging();
        await this.#end();
        return new Response(null, { status: 503 });
      case "garbage":
        return new Response("<html>not what you think</html>");
      case "endless":
        return new Response(
          new ReadableStream({
            pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024).fill(0x20)),
          }),
        );
      case "redirecting":
        return new Response(null, { status: 302, headers: { location: this.redirectTo } });
      case "empty":
        return Response.json({ keys: [] });
      case "well":
        return this.#document(path);
    }
  }

  #document(path: string): Response {
    if (path.endsWith("/certs")) return Response.json({ keys: this.keys });
    if (path === "/realms/iot/.well-known/openid-configuration") {
      return Response.json(this.discovery ?? { issuer: this.issuer, jwks_uri: this.jwksUrl.href });
    }
    return new Response("not found", { status: 404 });
  }

  #end(): Promise<void> {
    const { signal } = this.#ended;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
  }
}
