// TLS by the service itself: with a certificate and its key sockets and routes are served encrypted, and only so.
import assert from "node:assert/strict";
import { makeCertificate, type TestCertificate } from "../support/certificate.ts";
import { fakeSources } from "../support/fake_sources.ts";
import { startService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";

/** Speaks to a TLS server as a client that trusts the test's authority, and returns what it reads up to `end`. */
async function speak(
  { port, text, authority }: { port: number; text: string; authority: string },
  end: RegExp,
): Promise<string> {
  using connection = await Deno.connectTls({
    hostname: "127.0.0.1",
    port,
    caCerts: [authority],
    alpnProtocols: ["http/1.1"],
  });
  await connection.write(new TextEncoder().encode(text));
  const decoder = new TextDecoder();
  let read = "";
  const chunk = new Uint8Array(4_096);
  while (!end.test(read)) {
    const length = await connection.read(chunk);
    if (length === null) break;
    read += decoder.decode(chunk.subarray(0, length), { stream: true });
  }
  return read;
}

async function withCertificate(act: (made: TestCertificate, folder: string) => Promise<void>) {
  const made = await makeCertificate();
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-tls-" });
  try {
    await Deno.writeTextFile(`${folder}/cert.pem`, made.certificate);
    await Deno.writeTextFile(`${folder}/key.pem`, made.key);
    await act(made, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const WS_ENGINE of ["ws", "deno"]) {
  Deno.test(`With TLS_CERT_FILE and TLS_KEY_FILE routes and sockets are encrypted (engine ${WS_ENGINE})`, async () => {
    await withCertificate(async ({ authority }, folder) => {
      const settings = {
        WS_ENGINE,
        TLS_CERT_FILE: `${folder}/cert.pem`,
        TLS_KEY_FILE: `${folder}/key.pem`,
      };
      await using service = await startService({ sources: fakeSources(), settings });
      const { port, log } = service;
      assert.match(String(log.of("listening")[0]?.fields.address), /^https:\/\//);
      const live = await speak(
        { port, authority, text: "GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" },
        /\r\n\r\n(.|\n)*ok\n/,
      );
      assert.match(live, /^HTTP\/1\.1 200 (.|\r|\n)*ok\n/);
      const upgrade = [
        `GET /api/v2/ws?token=${await signToken()} HTTP/1.1`,
        ...["Host: h", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
        ...["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""],
      ].join("\r\n");
      const opened = await speak({ port, authority, text: upgrade }, /\r\n\r\n/);
      assert.match(opened, /^HTTP\/1\.1 101 /);
      // Who speaks plainly is not answered in plain.
      using plain = await Deno.connect({ hostname: "127.0.0.1", port });
      await plain.write(new TextEncoder().encode("GET /livez HTTP/1.1\r\nHost: h\r\n\r\n"));
      const chunk = new Uint8Array(1_024);
      const length = await plain.read(chunk).catch(() => null) ?? 0;
      assert(!new TextDecoder("latin1").decode(chunk.subarray(0, length)).includes("200 OK"));
    });
  });
}
