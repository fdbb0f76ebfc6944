// What `deno task build:client` makes: one module that stands alone, types that stand alone, and both of use under Node.
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";
import { fakeSources } from "../support/fake_sources.ts";
import { sampleAt } from "../support/samples.ts";
import { startService } from "../support/service.ts";
import { signToken } from "../support/tokens.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const OLDEST_NODE = 22;

const USE = `import { PulsewireClient, type DeviceSample } from "./pulsewire_client.js";
using pulse = new PulsewireClient("wss://h/api/v2/ws", { token: async () => "t" });
const stop = pulse.device("d", { historySeconds: 900 }, (sample) => sample.timestamp.length);
pulse.alerts((open, change) => open[0]?.alert_id ?? change?.closed.length);
pulse.fleet((fleet) => fleet.devices?.online);
pulse.on("state", (state, { retryAt }) => state === "live" || retryAt);
for await (const sample of pulse.samples("d", { mode: "every" })) {
  const { device_id }: DeviceSample = sample;
  stop();
  // @ts-expect-error There is no such mode.
  pulse.device(device_id, { mode: "some" }, () => {});
  // @ts-expect-error There is no such event.
  pulse.on("nonsense", () => {});
}
`;

const FOLLOW = `import { PulsewireClient } from "./pulsewire_client.js";
const [url, token] = process.argv.slice(2);
const pulse = new PulsewireClient(url, { token: () => token });
const taken = [];
for await (const { metrics } of pulse.samples("d", { mode: "every", historySeconds: 60 })) {
  taken.push(metrics.temp_c);
  if (taken.length === 3) break;
}
console.log(JSON.stringify({ taken, state: pulse.state }));
pulse.close();
`;

/** Builds into a folder of its own, which is removed afterwards. */
async function build() {
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-client-" });
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-env",
      "--allow-read",
      "--allow-write",
      "--allow-run",
      "tools/build_client.ts",
      folder,
    ],
    cwd: root,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return {
    folder,
    read: (name: string) => Deno.readTextFile(join(folder, name)),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

async function nodeVersion(): Promise<number | null> {
  try {
    const { stdout } = await new Deno.Command("node", { args: ["--version"] }).output();
    return Number(/^v(\d+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

const node = await nodeVersion();
const runsNode = node !== null && node >= OLDEST_NODE;
if (!runsNode) {
  const found = node === null ? "there is none" : `this one is ${node}`;
  console.log(`The built module is not run under Node: it needs Node ${OLDEST_NODE}, ${found}`);
}

Deno.test("what is built for others to use", async (test) => {
  await using built = await build();

  await test.step("the module needs nothing beside it, and its package names what is there", async () => {
    const script = await built.read("pulsewire_client.js");
    assert.doesNotMatch(script, /^\s*import\b|\bimport\(|\brequire\(|\bDeno\./m);
    const module = await import(pathToFileURL(join(built.folder, "pulsewire_client.js")).href);
    assert.deepEqual(Object.keys(module).sort(), ["PulsewireClient", "PulsewireError"]);
    const { exports, version, dependencies, files } = JSON.parse(await built.read("package.json"));
    assert.equal(version, JSON.parse(await Deno.readTextFile(join(root, "deno.json"))).version);
    assert.equal(dependencies, undefined);
    for (const path of [...Object.values<string>(exports["."]), ...files]) {
      assert.ok((await Deno.stat(join(built.folder, path))).isFile);
    }
  });

  await test.step("the types are whole by themselves, and say what a caller may not do", async () => {
    assert.doesNotMatch(await built.read("pulsewire_client.d.ts"), /\bimport\b|\brequire\b/);
    const use = join(built.folder, "use.ts");
    await Deno.writeTextFile(use, USE);
    const program = ts.createProgram([use], {
      strict: true,
      noEmit: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.esnext.disposable.d.ts"],
      types: [],
    });
    const problems = ts.getPreEmitDiagnostics(program).map(({ messageText }) =>
      ts.flattenDiagnosticMessageText(messageText, "\n")
    );
    assert.deepEqual(problems, []);
  });

  await test.step({
    name: "the module follows the service under Node",
    ignore: !runsNode,
    async fn() {
      const sources = fakeSources();
      await using service = await startService({ sources });
      const now = Math.floor(Date.now() / 1_000) - Date.UTC(2026, 10, 18, 11) / 1_000;
      for (const second of [3, 2, 1]) sources.put("acme", "d", sampleAt(now - second));
      const script = join(built.folder, "follow.mjs");
      await Deno.writeTextFile(script, FOLLOW);
      const { success, stdout, stderr } = await new Deno.Command("node", {
        args: [script, service.socketUrl(), await signToken()],
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
        taken: [now - 3, now - 2, now - 1],
        state: "live",
      });
    },
  });
});
