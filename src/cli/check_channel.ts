// Checks that notifications of alerts are heard; it must say nothing on the channel but the id of the tenant that was named.
import { tryChannel } from "../sources/postgres/try_channel.ts";
import { SourceError } from "../sources/source_error.ts";
import { type CheckContext, NAME_A_TENANT } from "./check_context.ts";
import { fault, ok, skipped, type Verdict } from "./verdict.ts";

const NAME = "notifications";
const MAX_WAIT_MS = 5_000;

export async function* checkChannel(
  { config, tenantId, clock, log, signal }: CheckContext,
): AsyncGenerator<Verdict> {
  const { ALERT_NOTIFY_CHANNEL: channel, DATABASE_CA: caCertificate } = config;
  if (channel === "") {
    yield skipped(NAME, "ALERT_NOTIFY_CHANNEL is not set: alerts come with the next read");
    return;
  }
  try {
    await tryChannel({
      url: config.DATABASE_LISTEN_URL ?? config.DATABASE_URL,
      channel,
      payload: tenantId,
      timeoutMs: Math.min(MAX_WAIT_MS, config.READ_TIMEOUT_SECONDS * 1_000),
      ...(caCertificate === undefined ? {} : { caCertificate }),
      log,
      clock,
      signal,
    });
  } catch (error) {
    const isDenied = error instanceof SourceError && error.kind === "denied";
    const cure = isDenied
      ? "DATABASE_LISTEN_URL, or DATABASE_URL where that is not set, must hold the right login"
      : "DATABASE_LISTEN_URL must lead to the server itself, past any pooler that works by transaction";
    yield fault(NAME, error, cure);
    return;
  }
  if (tenantId === null) {
    yield skipped(NAME, `${channel} is listened to, and nothing was said there`, NAME_A_TENANT);
  } else yield ok(NAME, `what is said on ${channel} is heard`);
}
