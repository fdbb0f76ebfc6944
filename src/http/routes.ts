// The HTTP routes that are not the socket: liveness, the page, and what a socket path says to those who don't upgrade.
import { Hono } from "hono";
import { PAGE_HEADERS, pageFile } from "../dashboard/page_file.ts";

export const SOCKET_PATH = "/api/v2/ws";

/** The handler that every engine serves beside the sockets. */
export function routes(): (request: Request) => Response | Promise<Response> {
  const app = new Hono();
  app.get("/livez", (context) => context.text("ok\n", 200, { "cache-control": "no-store" }));
  app.get(
    SOCKET_PATH,
    (context) =>
      context.text("Upgrade to WebSocket required\n", 426, {
        upgrade: "websocket",
        connection: "Upgrade",
      }),
  );
  app.get("*", async (context, next) => {
    const file = await pageFile(context.req.path);
    return file === null ? await next() : context.body(file.text, 200, {
      ...PAGE_HEADERS,
      "content-type": file.contentType,
    });
  });
  app.notFound((context) => context.text("Not found\n", 404));
  return (request) => app.fetch(request);
}
