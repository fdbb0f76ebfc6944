// Proves the guard in processes of its own, since what it guards against would end the test runner as well.
import assert from "node:assert/strict";

const guard = new URL("../../src/observe/guard_process.ts", import.meta.url);

async function runProgram(program: string): Promise<{ code: number; out: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--no-config", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
    env: { NO_COLOR: "1" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(program));
  await writer.close();
  const { code, stdout } = await child.output();
  return { code, out: new TextDecoder().decode(stdout) };
}

const faults = `
  setTimeout(() => { throw new TypeError("from a timer") }, 0);
  setTimeout(() => Promise.reject(new Error("from a promise")), 10);
  setTimeout(() => { throw undefined }, 20);
  setTimeout(() => console.log("alive"), 60);
`;

Deno.test("A process under guard logs what nobody could catch and goes on", async () => {
  const { code, out } = await runProgram(`
    import { guardProcess } from ${JSON.stringify(guard.href)};
    let count = 0;
    const log = { error: (event, fields) => console.log(event, fields.kind, fields.cause.split("\\n")[0]) };
    guardProcess({ log, onFault: () => count++ });
    ${faults}
    setTimeout(() => console.log("faults", count), 80);`);
  assert.equal(code, 0);
  assert.deepEqual(out.trim().split("\n"), [
    "uncaught_exception error TypeError: from a timer",
    "uncaught_exception unhandledrejection Error: from a promise",
    "uncaught_exception error undefined",
    "alive",
    "faults 3",
  ]);
});

Deno.test("A guard that was disposed lets the process end as it would without", async () => {
  const { code, out } = await runProgram(`
    import { guardProcess } from ${JSON.stringify(guard.href)};
    guardProcess({ log: { error: () => {} } })[Symbol.dispose]();
    ${faults}`);
  assert.equal(code, 1);
  assert.equal(out, "");
});
