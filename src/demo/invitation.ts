// The lines that tell a person at a terminal where the demo is and how to talk to it.
import { SOCKET_PATH } from "../http/routes.ts";
import { signDemoToken } from "./demo_token.ts";
import type { FleetTenant } from "./fleet.ts";

export interface InvitationOptions {
  readonly hostname: string;
  readonly port: number;
  readonly fleet: readonly FleetTenant[];
  readonly secret: string;
}

/** Text with fresh tokens in it: for the terminal of who started the demo, never for a log. */
export async function invitation(
  { hostname, port, fleet, secret }: InvitationOptions,
): Promise<string> {
  const host = `${reachable(hostname)}:${port}`;
  const lines = ["", `  Open http://${host}/`, ""];
  lines.push("  Or talk to it yourself, with a token that is good for an hour:");
  for (const { tenantId, name, devices } of fleet) {
    const address = `ws://${host}${SOCKET_PATH}?token=${await signDemoToken({ secret, tenantId })}`;
    const [first] = devices;
    lines.push(
      "",
      `  ${name}, tenant ${tenantId}`,
      `    npx -y wscat -c '${address}'`,
      `    websocat '${address}'`,
      "  and type",
      `    {"action":"subscribe","type":"device","device_id":"${first?.deviceId}"}`,
      `    {"action":"subscribe","type":"alerts"}`,
    );
  }
  lines.push("", "  Ctrl-C ends the demo", "");
  return lines.join("\n");
}

/** An address of "everywhere" can be listened on but not be opened. */
function reachable(hostname: string): string {
  if (hostname === "0.0.0.0" || hostname === "::") return "127.0.0.1";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
