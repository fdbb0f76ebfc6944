// The page's entry: one tenant at a time, its link, its cards and its alerts. It only composes.
import { AlertList } from "./page_alerts.js";
import { DeviceCards } from "./page_devices.js";
import { Link } from "./page_link.js";
import {
  chooseTenant,
  chosenTenant,
  fetchDemo,
  forgetToken,
  keepSession,
  parseDevices,
  readSession,
  takeFragment,
  tenantOf,
} from "./page_session.js";

const byId = (id) => document.getElementById(id);
const TICK_MS = 250;
/** A browser's clock that is off by less is taken as right: that is as well as it can be known. */
const SKEW_MS = 3_000;
const DEMO_RETRY_MS = 3_000;
const EXPIRY_NOTICE_MS = 60_000;

const cards = new DeviceCards();
const alerts = new AlertList();
let link = null;
let phase = { name: "idle" };
let demo = null;
let current = null;
let skewMs = 0;

function follow(tenant) {
  link?.close();
  current = tenant;
  byId("entry").hidden = true;
  byId("board").hidden = false;
  byId("notice").hidden = true;
  byId("change").hidden = byId("leave").hidden = demo !== null;
  cards.reset(tenant.devices);
  alerts.reset();
  showTenants();
  open(tenant);
}

function open({ token, devices }) {
  const url = new URL("api/v2/ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = url.search = "";
  link = new Link({
    url,
    token,
    subscriptions: [
      ...devices.map((device) => ({ action: "subscribe", type: "device", device_id: device })),
      { action: "subscribe", type: "alerts" },
    ],
    onPhase: enter,
    onMessage: receive,
  });
}

function receive(message) {
  if (message.type === "telemetry") cards.receive(message.device_id, message.data);
  if (message.type === "alerts") alerts.receive(message.alerts);
  if (message.type === "error") notify(message.message);
  if (message.type === "token_expiring") prolong(message.expires_at);
  // Who comes within the token's last minute is not told of it again.
  if (message.type === "hello" && leftMs(message.token_expires_at) < EXPIRY_NOTICE_MS) {
    prolong(message.token_expires_at);
  }
}

function leftMs(instant) {
  return Date.parse(instant) - (Date.now() + skewMs);
}

function notify(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
}

/** Renews the token over the socket; a page that has no other token says so while there is time. */
async function prolong(expiresAt) {
  if (demo === null) {
    const time = new Date(expiresAt).toLocaleTimeString();
    notify(`The access token ends at ${time}. Choose Change to go on with another one.`);
    return;
  }
  const { tenant_id: tenantId } = current;
  demo = (await fetchDemo()) ?? demo;
  const fresh = demo.find(({ tenant_id: id }) => id === tenantId);
  if (fresh === undefined || current.tenant_id !== tenantId) return;
  current = fresh;
  link.renew(fresh.token);
}

function enter(next) {
  if (next.name === phase.name && next.name === "live") return;
  phase = next;
  if (phase.name === "live") measureSkew();
  byId("link").dataset.phase = phase.name;
  byId("link-text").textContent = {
    connecting: "Connecting",
    live: "Live",
    waiting: "Reconnecting",
    refused: `Refused: ${phase.reason}`,
  }[phase.name];
  byId("link-now").hidden = phase.name !== "waiting";
  tick();
  if (phase.name === "refused" && phase.needsToken) renew(phase.reason);
}

async function renew(reason) {
  if (demo === null) {
    forgetToken();
    showEntry(reason);
    return;
  }
  const refused = current;
  await new Promise((resolve) => setTimeout(resolve, DEMO_RETRY_MS * Math.random()));
  demo = (await fetchDemo()) ?? demo;
  if (current !== refused) return;
  const tenant = demo.find(({ tenant_id: id }) => id === refused.tenant_id) ?? refused;
  current = tenant;
  open(tenant);
}

/** Ages are told by the service's clock: many a browser's own is minutes off. */
async function measureSkew() {
  const sentAt = Date.now();
  try {
    const response = await fetch("livez", { method: "HEAD", cache: "no-store" });
    const date = Date.parse(response.headers.get("date") ?? "");
    const skew = date + 500 - (sentAt + Date.now()) / 2;
    skewMs = Math.abs(skew) > SKEW_MS ? skew : 0;
  } catch {
    // The link will say what is wrong with the network.
  }
}

function tick() {
  const nowMs = Date.now() + skewMs;
  const isConnected = phase.name === "live";
  cards.tick({ nowMs, isConnected });
  alerts.tick({ nowMs, isConnected });
  const seconds = phase.name === "waiting" ? Math.ceil((phase.retryAt - Date.now()) / 1_000) : null;
  const text = seconds === null ? "" : `in ${Math.max(0, seconds)} s`;
  if (byId("link-countdown").textContent !== text) byId("link-countdown").textContent = text;
}

function showTenants() {
  const isDemo = demo !== null;
  const choices = isDemo ? demo : [{ tenant_id: tenantOf(current.token) }];
  const elements = choices.filter(({ tenant_id: id }) => id !== null).map((tenant) => {
    const element = document.createElement(isDemo ? "button" : "span");
    element.textContent = tenant.name ?? tenant.tenant_id;
    element.title = tenant.tenant_id;
    if (!isDemo) return element;
    element.type = "button";
    element.dataset.tenant = tenant.tenant_id;
    element.addEventListener("click", () => {
      if (tenant.tenant_id === current.tenant_id) return;
      chooseTenant(tenant.tenant_id);
      follow(demo.find(({ tenant_id: id }) => id === tenant.tenant_id));
    });
    return element;
  });
  const host = byId("tenants");
  // Buttons that stand already are kept, and with them the keyboard's focus.
  if (!isDemo || host.childElementCount !== elements.length) host.replaceChildren(...elements);
  for (const button of host.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.tenant === current.tenant_id));
  }
}

function showEntry(reason) {
  link?.close();
  link = null;
  const { token, devices } = readSession();
  byId("board").hidden = true;
  byId("entry").hidden = false;
  byId("entry-token").value = token ?? "";
  byId("entry-devices").value = devices.join(", ");
  byId("entry-reason").textContent = reason ?? "";
  byId("entry-reason").hidden = reason === undefined;
  byId("entry-cancel").hidden = token === null || current === null;
  byId(token === null ? "entry-token" : "entry-devices").focus();
  if (reason !== undefined) return;
  phase = { name: "idle" };
  byId("link").dataset.phase = "idle";
  byId("link-text").textContent = "Not connected";
  byId("link-now").hidden = true;
  byId("tenants").replaceChildren();
}

byId("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = byId("entry-token").value.trim();
  const devices = parseDevices(byId("entry-devices").value);
  if (token === "") return;
  keepSession({ token, devices });
  follow({ token, devices });
});
byId("entry-cancel").addEventListener("click", () => follow(current));
byId("change").addEventListener("click", () => showEntry());
byId("leave").addEventListener("click", () => {
  forgetToken();
  current = null;
  showEntry();
});
byId("link-now").addEventListener("click", () => link?.hurry());
// A jump must not take the devices out of the address.
for (const jump of document.querySelectorAll('a[href^="#"]')) {
  jump.addEventListener("click", (event) => {
    event.preventDefault();
    const target = byId(jump.hash.slice(1));
    target.scrollIntoView();
    target.focus({ preventScroll: true });
  });
}
addEventListener("online", () => link?.hurry());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) link?.hurry();
});
addEventListener("hashchange", () => {
  if (new URLSearchParams(location.hash.slice(1)).has("token")) start();
});

async function start() {
  takeFragment();
  const session = readSession();
  demo = session.token === null ? await fetchDemo() : null;
  if (session.token !== null) follow(session);
  else if (demo === null) showEntry();
  else follow(demo.find(({ tenant_id: id }) => id === chosenTenant()) ?? demo[0]);
}

setInterval(tick, TICK_MS);
start();
