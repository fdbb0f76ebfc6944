// Errors of HTTP routes, in the form of RFC 9457; public words only.
import type { Context } from "hono";
import { headersOf, REQUEST_ERRORS, type RequestErrorCode } from "../errors.ts";

export interface ProblemOptions {
  readonly retryAfterSeconds?: number;
  /** What is special about this case. */
  readonly detail?: string | undefined;
  /** The parameter that is at fault. */
  readonly parameter?: string | undefined;
}

/** The problem document of an entry in the error table. */
export function problem(
  context: Context,
  code: RequestErrorCode,
  { retryAfterSeconds, detail, parameter }: ProblemOptions = {},
): Response {
  const { status, sentence } = REQUEST_ERRORS[code];
  const body = {
    type: "about:blank",
    title: sentence,
    status,
    code,
    ...(detail === undefined ? {} : { detail }),
    ...(parameter === undefined ? {} : { parameter }),
  };
  const headers: Record<string, string> = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    ...headersOf(code),
  };
  if (retryAfterSeconds !== undefined) headers["retry-after"] = String(retryAfterSeconds);
  return context.body(JSON.stringify(body), { status: status as 400, headers });
}
