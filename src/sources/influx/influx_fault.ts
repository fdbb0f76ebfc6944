// Tells whose fault a failed read is; its messages must never hold the query, the host or the credentials.
import { HttpError } from "@influxdata/influxdb-client";
import { SourceError, type SourceErrorKind } from "../source_error.ts";

const maxReasonLength = 200;

/** InfluxDB 1.x took the credentials, and they may not read this database, which need not even be there. */
const noGrant = /^error authorizing query: .*, (requires READ on \S.*)$/s;

/** InfluxDB's own sentences, beginnings where it quotes names after them; all others mean that the query is refused. */
const reasons: readonly (readonly [RegExp, SourceErrorKind])[] = [
  [/^(database|retention policy) not found\b/, "missing"],
  [/\bcould not find bucket\b/, "missing"],
  [noGrant, "missing"],
  [/\borganization name\b.*\bnot found\b|\bprovide either orgID or org\b/, "denied"],
  [/\b(unauthorized|not authorized|insufficient permissions)\b/, "denied"],
  [/^query (interrupted|aborted|engine shutdown)\b/, "unavailable"],
  // A bucket or a shard that is being taken away, by hand or by retention: the query itself is fine.
  [
    /^(\[shard \d+\] )?((tsdb store|engine) is closed|shard (is disabled|not found|is being deleted))\b/,
    "unavailable",
  ],
  [/^(max-concurrent-queries|query-timeout) limit exceeded\b/, "unavailable"],
  // What the machine lacks, in the kernel's words behind the name of a file.
  [
    /(^|: )(too many open files( in system)?|no space left on device|input\/output error|cannot allocate memory)$/,
    "unavailable",
  ],
];

/** Turns whatever a request threw into the error that leaves the source. */
export function influxFault(error: unknown): SourceError {
  if (error instanceof SourceError) return error;
  if (error instanceof HttpError) return statusFault(error);
  return unavailable("InfluxDB does not answer, or its answer breaks off", error);
}

/** An error that InfluxDB reports inside of an answer that began well. */
export function statementFault(reason: string): SourceError {
  const kind = reasonKind(reason);
  return new SourceError(kind, `${sentences[kind]}${quoted(kind, reason)}`);
}

function reasonKind(reason: string): SourceErrorKind {
  return reasons.find(([pattern]) => pattern.test(reason))?.[1] ?? "rejected";
}

/** An answer that is not what InfluxDB says. */
export function garbageFault(what: string, cause?: unknown): SourceError {
  return unavailable(`InfluxDB's answer can't be read: ${what}`, cause);
}

const sentences: Readonly<Record<SourceErrorKind, string>> = {
  unavailable: "Cannot read telemetry: InfluxDB can't run the query now",
  denied: "Cannot read telemetry: InfluxDB refuses the credentials",
  missing: "Cannot read telemetry: the tenant's bucket does not exist, or may not be read",
  rejected: "Cannot read telemetry: InfluxDB refuses the query",
};

function statusFault(error: HttpError): SourceError {
  const { statusCode } = error;
  const reason = reasonOf(error);
  const kind = statusKind(error, reason);
  const told = `status is ${statusCode}${quoted(kind, reason)}`;
  return new SourceError(kind, `${sentences[kind]}: ${told}`, { cause: error });
}

function statusKind(error: HttpError, reason: string | null): SourceErrorKind {
  const { statusCode } = error;
  if (statusCode === 401) return "denied";
  if (statusCode === 403) return reason !== null && noGrant.test(reason) ? "missing" : "denied";
  if (statusCode === 404) {
    // Without a sentence of InfluxDB's own nobody knows who answered: a proxy, or a server without that language.
    return reason === null ? "unavailable" : reasonKind(reason);
  }
  if (statusCode === 408 || statusCode === 429 || statusCode >= 500 || statusCode < 400) {
    return "unavailable";
  }
  if (reason !== null) return reasonKind(reason);
  return isForeign(error) ? "unavailable" : "rejected";
}

/** A web server's or a proxy's answer to what only InfluxDB understands; that a question is too long is about it all the same. */
function isForeign({ statusCode, body }: HttpError): boolean {
  return statusCode !== 413 && (statusCode === 405 || /^\s*</.test(body ?? ""));
}

/** `message` is InfluxDB 2.x's, `error` 1.x's. */
function reasonOf({ body }: HttpError): string | null {
  let answer: unknown;
  try {
    answer = JSON.parse(body ?? "");
  } catch {
    return null;
  }
  if (typeof answer !== "object" || answer === null) return null;
  const { message, error } = answer as { readonly message?: unknown; readonly error?: unknown };
  if (typeof message === "string") return message;
  return typeof error === "string" ? error : null;
}

function unavailable(what: string, cause: unknown): SourceError {
  return new SourceError("unavailable", `Cannot read telemetry: ${what}`, { cause });
}

/** What a server says about credentials could repeat them; what it says when it fails could be anything. */
function quoted(kind: SourceErrorKind, reason: string | null): string {
  if (reason === null || kind === "denied" || kind === "unavailable") return "";
  // Before it stand the login and the query.
  const grant = noGrant.exec(reason)?.[1];
  if (grant !== undefined) return quoted(kind, grant);
  return `: ${reason.length <= maxReasonLength ? reason : `${reason.slice(0, maxReasonLength)}…`}`;
}
