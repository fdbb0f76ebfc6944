import assert from "node:assert/strict";
import { findSecrets, KEPT_LOGS_VARIABLE, lookThrough } from "../support/kept_logs.ts";
import { signToken, TEST_SECRET } from "../support/tokens.ts";

Deno.test("A token, a part of one, a ticket, a secret and a password are found wherever they stand", async () => {
  const token = await signToken();
  const [, payload = ""] = token.split(".");
  for (
    const line of [
      `{"event":"token_refused","token":"${token}"}`,
      `TypeError: Cannot read GET /api/v2/ws?token=${token} HTTP/1.1`,
      `x ${payload.slice(0, 40)}… y`,
      "authorization: Bearer abcdef0123456789",
      "GET /api/v2/ws?ticket=uYz4cVq1bQd0e3Jr7kLmNw",
      '{"ticket":"uYz4cVq1bQd0e3Jr7kLmNw","expires_in":30}',
      `secret ${TEST_SECRET}`,
      "Cannot connect to postgres://pulse:hunter2@127.0.0.1:5432/fleet",
    ]
  ) {
    const found = findSecrets(`ordinary\n${line}\nordinary`);
    assert.ok(found.length > 0, line);
    for (const { line } of found) assert.ok(!line.includes(token), "what was found is not told on");
  }
});

Deno.test("What a log says of credentials without holding one is no secret", () => {
  for (
    const line of [
      '{"event":"handshake_refused","reason":"token_missing","address":"127.0.0.1"}',
      "Bearer token expected",
      "GET /api/v2/ws?token=… refused",
      "postgres://127.0.0.1:5432/fleet can't be reached",
      '"exp" claim timestamp check failed',
    ]
  ) {
    assert.deepEqual(findSecrets(line), [], line);
  }
});

Deno.test("What is logged under test is kept where the run looks for it, of processes and of logs in memory", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--allow-env", "--allow-write"],
        new URL("./careless_process.ts", import.meta.url).pathname,
      ],
      env: { [KEPT_LOGS_VARIABLE]: folder },
    }).output();
    assert.ok(success);
    const { bytes, found } = lookThrough(folder);
    assert.ok(bytes > 0);
    assert.deepEqual(found.map(({ kind }) => kind), ["token"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
