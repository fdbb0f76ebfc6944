// Where the token and the devices come from: the address's fragment, this tab's session, or a demo. A token never stays
// in the address bar and never leaves the tab.

const TOKEN = "pulsewire.token";
const DEVICES = "pulsewire.devices";
const TENANT = "pulsewire.tenant";

/** Takes what the fragment says into the session and leaves only the devices in the address. */
export function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (fragment.has("devices")) sessionStorage.setItem(DEVICES, fragment.get("devices"));
  if (!fragment.has("token")) return;
  const token = fragment.get("token").trim();
  if (token !== "") sessionStorage.setItem(TOKEN, token);
  showDevices();
}

export function readSession() {
  return {
    token: sessionStorage.getItem(TOKEN),
    devices: parseDevices(sessionStorage.getItem(DEVICES) ?? ""),
  };
}

export function keepSession({ token, devices }) {
  sessionStorage.setItem(TOKEN, token);
  sessionStorage.setItem(DEVICES, devices.join(","));
  showDevices();
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
}

/** The ids in a list with commas between, each once. */
export function parseDevices(text) {
  return [...new Set(text.split(",").map((id) => id.trim()).filter((id) => id !== ""))];
}

export function chosenTenant() {
  return sessionStorage.getItem(TENANT);
}

export function chooseTenant(tenantId) {
  sessionStorage.setItem(TENANT, tenantId);
}

/** The demo's tenants with fresh tokens, or null where this is no demo. */
export async function fetchDemo() {
  try {
    const response = await fetch("demo.json", { cache: "no-store" });
    return response.ok ? (await response.json()).tenants : null;
  } catch {
    return null;
  }
}

/** The tenant that a token names, for the page's title only: nothing here trusts it. */
export function tenantOf(token) {
  try {
    const [, payload] = token.split(".");
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims.tenant_id === "string" ? claims.tenant_id : null;
  } catch {
    return null;
  }
}

function showDevices() {
  const devices = sessionStorage.getItem(DEVICES) ?? "";
  const fragment = devices === "" ? "" : `#${new URLSearchParams({ devices })}`;
  history.replaceState(null, "", `${location.pathname}${location.search}${fragment}`);
}
