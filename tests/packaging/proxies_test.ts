// The examples for reverse proxies, on the real programs: upgrades, event streams, addresses, and no token in any log.
import assert from "node:assert/strict";
import { fakeSources } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { startService, type TestService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";
import { until } from "../support/until.ts";
import { findProgram } from "./example_file.ts";
import { ask, ProxySocket } from "./proxy_client.ts";
import { PROXY_KINDS } from "./proxy_kinds.ts";
import { type ProxyKind, ProxyProcess } from "./proxy_process.ts";

interface World {
  readonly sources: ReturnType<typeof fakeSources>;
  readonly service: TestService;
  readonly proxy: ProxyProcess;
}

async function behind(kind: ProxyKind, act: (world: World) => Promise<void>): Promise<void> {
  const sources = fakeSources();
  const settings = { TRUSTED_PROXIES: "127.0.0.1" };
  await using service = await startService({ sources, settings });
  const path = findProgram(kind.program);
  assert.ok(path !== null);
  await using proxy = await ProxyProcess.start(kind, { path, servicePort: service.port });
  // A proxy that asks for health first lets nobody in until it has an answer.
  await until(async () => {
    const answer = await ask(proxy, "/livez");
    answer.leave();
    return answer.status === 200;
  }, { what: `an answer through ${kind.name}` });
  await act({ sources, service, proxy });
}

function testBehind(
  kind: ProxyKind,
  behaviour: string,
  act: (world: World) => Promise<void>,
): void {
  const isMissing = findProgram(kind.program) === null;
  const why = isMissing ? ` (left out: ${kind.program} is not installed)` : "";
  Deno.test({
    name: `Behind ${kind.name} ${behaviour}${why}`,
    ignore: isMissing,
    fn: () => behind(kind, act),
  });
}

for (const kind of PROXY_KINDS) {
  testBehind(kind, "a socket is upgraded and pushed to", async ({ sources, proxy }) => {
    sources.put("acme", "dev-1", sampleAt(1));
    const protocols = ["pulsewire", `bearer.${await signToken()}`];
    await using socket = await ProxySocket.open(proxy, { protocols });
    assert.equal(socket.protocol, "pulsewire");
    socket.send({ action: "subscribe", type: "device", device_id: "dev-1" });
    const { data } = await socket.next(({ type }) => type === "telemetry");
    assert.deepEqual(data, { ...sampleAt(1) });
  });

  testBehind(
    kind,
    "each event of a stream arrives while the stream goes on",
    async ({ sources, proxy }) => {
      sources.put("acme", "dev-1", sampleAt(1));
      const headers = { authorization: `Bearer ${await signToken()}` };
      // Few and small: a proxy that gathers them would keep them to itself.
      const stream = await ask(proxy, "/api/v2/events?device_id=dev-1&changes_only=1", { headers });
      assert.equal(stream.status, 200);
      for (const second of [1, 2, 3]) {
        sources.put("acme", "dev-1", sampleAt(second));
        await until(() => stream.text().includes(`"temp_c":${second}`), {
          what: `event ${second} through ${kind.name}`,
        });
      }
      stream.leave();
      await stream.ended;
    },
  );

  testBehind(
    kind,
    "a client counts for its own address, whatever it says itself",
    async ({ service, proxy }) => {
      const refused = await ask(proxy, "/api/v2/events?device_id=dev-1", {
        from: "127.0.0.5",
        headers: { "x-forwarded-for": "203.0.113.9", authorization: "Bearer none" },
      });
      assert.equal(refused.status, 401);
      refused.leave();
      const addresses = service.log.of("handshake_refused").map(({ fields }) => fields.address);
      assert.deepEqual(addresses, ["127.0.0.5"]);
    },
  );

  testBehind(kind, "no token stands in a log, not even when the service is down", async (world) => {
    const { service, proxy } = world;
    const token = await signToken();
    const headers = { authorization: `Bearer ${token}` };
    const places = [
      { path: `/api/v2/ws?token=${token}` },
      { protocols: ["pulsewire", `bearer.${token}`] },
      { headers },
    ];
    for (const place of places) {
      await using socket = await ProxySocket.open(proxy, place);
      assert.ok(socket.isOpen, kind.name);
    }
    const issued = await ask(proxy, "/api/v2/ws-ticket", { method: "POST", headers });
    await issued.ended;
    const { ticket } = JSON.parse(issued.text());
    {
      await using socket = await ProxySocket.open(proxy, { path: `/api/v2/ws?ticket=${ticket}` });
      assert.ok(socket.isOpen, kind.name);
    }
    await service.stop();
    const failed = await ask(proxy, `/api/v2/events?device_id=dev-1&token=${token}`, { headers });
    assert.ok([502, 503].includes(failed.status), String(failed.status));
    await failed.ended;
    const unlucky = { path: `/api/v2/ws?token=${token}`, protocols: places[1]?.protocols ?? [] };
    await using socket = await ProxySocket.open(proxy, unlucky);
    assert.ok(!socket.isOpen);
    const paths = ["/api/v2/ws", "/api/v2/ws-ticket", "/api/v2/events"];
    await until(() => paths.every((path) => proxy.logged().includes(path)), {
      what: "every request in the log",
    });
    const logged = proxy.logged();
    const signature = token.split(".")[2] ?? "";
    assert.ok(signature.length > 20 && ticket.length > 20);
    assert.ok(!logged.includes(signature), `${kind.name} logged a token`);
    assert.ok(!logged.includes(ticket), `${kind.name} logged a ticket`);
  });

  testBehind(kind, "metrics are not even asked for", async ({ proxy }) => {
    const textOf = async (path: string) => {
      const answer = await ask(proxy, path);
      await answer.ended;
      assert.equal(answer.status, 404);
      return answer.text();
    };
    // What the service says of a path that it does not have; the proxy's own words are others.
    const unknown = await textOf("/no-such-path");
    assert.match(unknown, /not.found/i);
    for (const path of ["/metrics", "/metrics?x=1"]) assert.notEqual(await textOf(path), unknown);
  });
}
