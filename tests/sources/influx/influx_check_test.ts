// What a source finds out about its InfluxDB before any tenant is read, and whom it trusts to be that InfluxDB.
import assert from "node:assert/strict";
import type { InfluxOptions } from "../../../src/sources/influx/influx_options.ts";
import { SourceError } from "../../../src/sources/source_error.ts";
import { makeCertificate } from "../../support/certificate.ts";
import { findInfluxd, openInfluxd } from "../../support/influxd.ts";
import { createSource, influxOptions, type Language } from "./influx_fixtures.ts";
import { serveStub } from "./stub_server.ts";

const LANGUAGES = ["influxql", "flux"] as const;

const accepted = {
  influxql: '{"results":[{"statement_id":0}]}',
  flux:
    "#datatype,string,long,string\r\n#group,false,false,false\r\n#default,_result,,\r\n,result,table,name\r\n,,0,b\r\n\r\n",
} as const;

async function check(language: Language, options: Partial<InfluxOptions>): Promise<void> {
  using source = createSource[language](influxOptions({ org: "pulse", ...options }));
  await source.check(new AbortController().signal);
}

async function checkAnswer(language: Language, answer: Response): Promise<void> {
  await using server = serveStub(() => answer);
  await check(language, { url: server.url });
}

function isKind(kind: SourceError["kind"]): (error: unknown) => boolean {
  return (error) => error instanceof SourceError && error.kind === kind;
}

for (const language of LANGUAGES) {
  Deno.test(`A check in ${language} is one request that names no tenant and carries the credentials`, async () => {
    await using server = serveStub(() => new Response(accepted[language]));
    await check(language, { url: server.url, auth: { kind: "token", token: "t0ken" } });
    const [request, ...others] = server.requests;
    assert.equal(others.length, 0);
    assert.equal(request?.headers.get("authorization"), "Token t0ken");
    assert.doesNotMatch(`${request?.path}${request?.body}`, /telemetry/);
  });

  Deno.test(`A check in ${language} tells a refused token from a server that fails or talks nonsense`, async () => {
    const message = (text: string, status: number) =>
      Response.json({ code: "x", message: text }, { status });
    await assert.rejects(
      checkAnswer(language, message("unauthorized access", 401)),
      isKind("denied"),
    );
    await assert.rejects(
      checkAnswer(language, message('organization name "x" not found', 404)),
      isKind("denied"),
    );
    await assert.rejects(checkAnswer(language, message("oops", 503)), isKind("unavailable"));
    const nonsense = '{"results":"no","error\r\n';
    await assert.rejects(checkAnswer(language, new Response(nonsense)), isKind("unavailable"));
    await assert.rejects(check(language, { url: "http://127.0.0.1:1" }), isKind("unavailable"));
  });

  Deno.test(`A check in ${language} that is refused for itself has found the database well`, async () => {
    await checkAnswer(language, Response.json({ error: "not supported" }, { status: 400 }));
  });

  Deno.test(`${language} over TLS trusts the authority that it is given, and without it refuses a stranger's`, async () => {
    const { authority, certificate, key } = await makeCertificate();
    const requests: string[] = [];
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert: certificate, key, onListen: () => {} },
      async (request) => {
        requests.push(await request.text());
        return new Response(accepted[language]);
      },
    );
    const url = `https://127.0.0.1:${server.addr.port}`;
    await check(language, { url, caCertificate: authority });
    assert.equal(requests.length, 1);
    await assert.rejects(check(language, { url }), isKind("unavailable"));
    const stranger = await makeCertificate();
    await assert.rejects(
      check(language, { url, caCertificate: stranger.authority }),
      isKind("unavailable"),
    );
    assert.equal(requests.length, 1, "credentials must not reach a server that is not known");
  });

  Deno.test(`${language}: a source that has connections of its own asks nothing more once they are ended`, async () => {
    const { authority } = await makeCertificate();
    await using server = serveStub(() => new Response(accepted[language]));
    const source = createSource[language](
      influxOptions({ url: server.url, caCertificate: authority }),
    );
    const { signal } = new AbortController();
    await source.check(signal);
    source[Symbol.dispose]();
    await assert.rejects(source.check(signal), isKind("unavailable"));
    assert.equal(server.requests.length, 1);
  });
}

Deno.test({
  name: "A check on a real InfluxDB 1.x accepts a user and refuses a wrong password or none",
  ignore: findInfluxd() === null,
  async fn() {
    await using server = await openInfluxd({ admin: { username: "admin", password: "s3cret" } });
    await server.query(`CREATE USER "bob" WITH PASSWORD 'x'`);
    const { url } = server;
    const bob = { kind: "password", username: "bob", password: "x" } as const;
    await check("influxql", { url, auth: bob });
    await assert.rejects(
      check("influxql", { url, auth: { ...bob, password: "wrong" } }),
      isKind("denied"),
    );
    await assert.rejects(check("influxql", { url }), isKind("denied"));
  },
});
