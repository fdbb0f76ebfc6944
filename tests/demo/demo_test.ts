// The demo as a person starts it: its own task line, in a process of its own, asked through its port only.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";

const root = new URL("../../", import.meta.url);
const startDeadlineMs = 180_000;
// Longer than a simulated device can be silent.
const waitDeadlineMs = 120_000;

interface DemoTenant {
  readonly tenant_id: string;
  readonly name: string;
  readonly token: string;
  readonly devices: readonly string[];
}

interface Message {
  readonly type: string;
  readonly device_id?: string;
  readonly data?: { readonly timestamp: string; readonly metrics: Record<string, unknown> };
  readonly alerts?: readonly { readonly tenant_id: string; readonly summary: string }[];
}

Deno.test("the demo serves its page, moving values and alerts of each tenant alone, and ends on SIGINT", async (test) => {
  const demo = await startDemo();
  try {
    await test.step("the page comes with its policy", async () => {
      const response = await fetch(demo.address);
      assert.equal(response.status, 200);
      assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
      assert.match(await response.text(), /<script type="module" src="dashboard\.js">/);
    });

    const tenants = await fetchTenants(demo.address);

    await test.step("demo.json is for this machine only and kept by nobody", async () => {
      const response = await fetch(`${demo.address}demo.json`);
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.equal(response.headers.get("access-control-allow-origin"), null);
      await response.body?.cancel();
      assert.equal(await statusWithHost(demo.address, "127.0.0.1.evil.example"), 403);
      assert.equal(await statusWithHost(demo.address, "localhost"), 200);
      const posted = await fetch(`${demo.address}demo.json`, { method: "POST" });
      await posted.body?.cancel();
      assert.equal(posted.status, 405);
    });

    await test.step("what is printed holds a line that connects", () => {
      const printed = demo.printed();
      for (const { tenant_id } of tenants) assert.ok(printed.includes(`tenant ${tenant_id}`));
      assert.match(printed, /wscat -c 'ws:\/\/127\.0\.0\.1:\d+\/api\/v2\/ws\?token=[\w.-]+'/);
      assert.match(printed, /websocat 'ws:/);
    });

    await test.step("each tenant gets moving values and alerts, and nothing of the other", async () => {
      const [one, other] = await Promise.all(tenants.map((tenant) => listen(demo.address, tenant)));
      assert.ok(one !== undefined && other !== undefined);
      const shared = tenants[0]!.devices.filter((id) => tenants[1]!.devices.includes(id));
      assert.ok(shared.includes("meter-01"), "no device id is in both fleets");
      const powers = (messages: readonly Message[]) =>
        messages.filter(({ type, device_id: id }) => type === "telemetry" && id === "meter-01").map(
          ({ data }) => Number(data?.metrics.power_kw),
        );
      // Their meters' means are 86 and 212 kW, so no value of one can be the other's.
      assert.ok(powers(one).every((value) => value < 150), `${powers(one)}`);
      assert.ok(powers(other).every((value) => value > 150), `${powers(other)}`);
    });
  } finally {
    await demo.interrupt();
  }
  assert.deepEqual(await demo.ended, { code: 0, errors: "" });
});

/** Follows everything of a tenant, its neighbour's devices too, until it has seen values move and alerts. */
async function listen(address: string, tenant: DemoTenant): Promise<readonly Message[]> {
  const url = `${address.replace("http", "ws")}api/v2/ws?token=${tenant.token}`;
  const socket = new WebSocket(url);
  const messages: Message[] = [];
  socket.onmessage = ({ data }) => messages.push(JSON.parse(data));
  await new Promise((resolve) => socket.onopen = resolve);
  const foreign = ["cold-room-01", "pump-01"].filter((id) => !tenant.devices.includes(id));
  assert.equal(foreign.length, 1);
  for (const deviceId of [...tenant.devices, ...foreign]) {
    socket.send(JSON.stringify({ action: "subscribe", type: "device", device_id: deviceId }));
  }
  socket.send(JSON.stringify({ action: "subscribe", type: "alerts" }));
  const samplesOf = (deviceId: string) =>
    messages.filter((each) => each.device_id === deviceId && each.type === "telemetry");
  await until(() => new Set(samplesOf("meter-01").map(({ data }) => data?.timestamp)).size >= 3);
  await until(() => messages.some(({ alerts }) => (alerts?.length ?? 0) > 0));
  const values = new Set(samplesOf("meter-01").map(({ data }) => data?.metrics.power_kw));
  assert.ok(values.size > 1, "the values stand still");
  for (const { alerts } of messages) {
    for (const { tenant_id } of alerts ?? []) assert.equal(tenant_id, tenant.tenant_id);
  }
  assert.deepEqual(samplesOf(foreign[0]!), []);
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
  return messages;
}

async function fetchTenants(address: string): Promise<readonly DemoTenant[]> {
  const response = await fetch(`${address}demo.json`);
  assert.equal(response.status, 200);
  const { tenants } = await response.json() as { tenants: DemoTenant[] };
  assert.equal(tenants.length, 2);
  for (const { token } of tenants) {
    const claims = JSON.parse(atob(token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")));
    assert.equal(claims.exp - claims.iat, 3_600);
  }
  return tenants;
}

/** `fetch` sets Host itself, so another client says what a foreign page's request would. */
function statusWithHost(address: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${address}demo.json`,
      { headers: { host }, agent: false },
      (answer) => {
        answer.resume();
        answer.on("end", () => resolve(answer.statusCode));
      },
    );
    request.on("error", reject);
    request.end();
  });
}

async function startDemo() {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  // The task's own words, so that its permissions are what is tested.
  const [, ...args] = String(tasks.demo).split(/\s+/);
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { PORT: "0", HOST: "127.0.0.1", NO_COLOR: "1", LOG_LEVEL: "warning" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let printed = "";
  const printing = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) printed += decoder.decode(chunk, { stream: true });
  })();
  const errors = new Response(child.stderr).text();
  let hasEnded = false;
  const ended = child.status.then(async ({ code }) => {
    hasEnded = true;
    await printing;
    return { code, errors: await errors };
  });
  const addressOf = () => /Open (http:\/\/\S+)/.exec(printed)?.[1];
  await until(() => hasEnded || printed.includes("Ctrl-C"), startDeadlineMs);
  const address = addressOf();
  if (address === undefined) {
    throw new Error(`The demo did not start: ${JSON.stringify(await ended)}`);
  }
  return {
    address,
    printed: () => printed,
    ended,
    async interrupt() {
      if (!hasEnded) child.kill("SIGINT");
      await ended;
    },
  };
}

async function until(isTrue: () => boolean, deadlineMs = waitDeadlineMs): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(`Waited ${deadlineMs} ms in vain`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
