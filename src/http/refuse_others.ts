// What a path that can only be read says to those who try something else. Its own handler must be registered before.
import type { Hono } from "hono";
import type { Bindings } from "./bearer_scope.ts";
import { problem } from "./problem.ts";

const READ_METHODS = "GET, HEAD, OPTIONS";

/** Answers OPTIONS with what is allowed, and every other method with 405. */
export function refuseOthers(app: Hono<{ Bindings: Bindings }>, path: string): void {
  app.options(
    path,
    (context) => context.body(null, 204, { allow: READ_METHODS, "cache-control": "no-store" }),
  );
  app.all(path, (context) => {
    const response = problem(context, "method_not_allowed");
    response.headers.set("allow", READ_METHODS);
    return response;
  });
}
