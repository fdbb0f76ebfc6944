// Holds documents and packaging to the code: settings, permissions, image, compose file, tables of the protocol.
// It parses what would need a container engine and runs nothing but the service itself.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { readConfig, SETTING_NAMES } from "../src/config.ts";
import { CLOSINGS, MESSAGE_ERRORS } from "../src/errors.ts";
import { LIMITS } from "../src/limits/limits.ts";
import { FEATURES } from "../src/protocol/client_messages.ts";
import { importsOf, readSources } from "./support/read_imports.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => Deno.readTextFileSync(join(root, path));
const manifest = JSON.parse(read("deno.json")) as {
  readonly version: string;
  readonly exclude: readonly string[];
  readonly imports: Readonly<Record<string, string>>;
  readonly tasks: Readonly<Record<string, string>>;
};
const readme = read("README.md");

/** The flags of a task's command that say what the service may do. */
function permissionsOf(command: readonly string[]): readonly string[] {
  return command.filter((word) => /^--(no-prompt|allow-|ignore-|deny-|unstable-)/.test(word));
}

/** Instructions of the Dockerfile, continued lines joined. */
const instructions = read("Dockerfile").replace(/^#.*\n/gm, "").replace(/\\\n\s*/g, " ")
  .split("\n").filter((line) => line !== "").map((line) => {
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return { name, rest };
  });

function instruction(name: string): readonly string[] {
  return instructions.filter((one) => one.name === name).map(({ rest }) => rest);
}

/** What of src/ the service never imports: it is built, or is no part of it. */
const BESIDE_THE_SERVICE = ["src/demo/", "src/dashboard/page/"];

const settingRows = [...readme.matchAll(/^\| `([A-Z][A-Z0-9_]+)`\s*\| ([^|]*) \|/gm)].map(
  ([, name = "", fallback = ""]) => ({ name, fallback: fallback.trim() }),
);

Deno.test("Deno looks at no file of the folders that git ignores", () => {
  const ignored = read(".gitignore").split("\n").filter((line) => line.endsWith("/"));
  assert.deepEqual([...manifest.exclude].sort(), ignored.sort());
});

Deno.test("README's table names exactly the settings that are read, once each", () => {
  assert.deepEqual(settingRows.map(({ name }) => name).sort(), [...SETTING_NAMES].sort());
});

Deno.test("README's table shows the defaults that hold", () => {
  const required: Record<string, string> = {
    DATABASE_URL: "postgres://pulsewire@127.0.0.1/pulsewire",
    INFLUXDB_URL: "http://127.0.0.1:8086",
    JWT_SECRET: "x".repeat(32),
  };
  const configOf = (values: Record<string, string>) =>
    readConfig({ get: (name) => values[name], readFile: () => "" });
  const shown = settingRows.flatMap(({ name, fallback }) => {
    const [, value] = /^`([^`]+)`$/.exec(fallback) ?? [];
    return value === undefined ? [] : [[name, value] as const];
  });
  assert.ok(shown.length > 15, `only ${shown.length} defaults were found`);
  assert.deepEqual(configOf({ ...required, ...Object.fromEntries(shown) }), configOf(required));
  const hidden = Object.entries(configOf(required)).filter(([name, value]) =>
    !(name in required) && String(value) !== "" && !shown.some(([known]) => known === name)
  );
  assert.deepEqual(hidden, []);
});

Deno.test(".env.example names exactly the settings that are read, and can be used as it is", () => {
  const lines = [...read(".env.example").matchAll(/^(# )?([A-Z][A-Z0-9_]+)=(.*)$/gm)];
  assert.deepEqual(lines.map(([, , name]) => name).sort(), [...SETTING_NAMES].sort());
  const values = new Map(
    lines.filter(([, comment]) => comment === undefined).map(([, , name, value]) => [name, value]),
  );
  assert.doesNotThrow(() =>
    readConfig({ get: (name) => values.get(name), readFile: () => assert.fail("no file is named") })
  );
});

Deno.test("The service has the same permissions however it is started, and never all of them", () => {
  const { start = "", dev = "" } = manifest.tasks;
  const permissions = permissionsOf(start.split(" "));
  const [entrypoint = "[]"] = instruction("ENTRYPOINT");
  assert.ok(permissions.includes("--no-prompt"));
  assert.ok(!permissions.includes("--allow-all"));
  assert.deepEqual(permissionsOf(dev.split(" ")), permissions);
  // The image has no such program: naming it would only make the runtime complain at every start.
  assert.deepEqual(
    [...permissionsOf(JSON.parse(entrypoint)), "--allow-run=getconf"],
    permissions,
  );
});

Deno.test("The runtime's heap is bounded alike however the service is started", () => {
  const { start = "", dev = "" } = manifest.tasks;
  const [entrypoint = "[]"] = instruction("ENTRYPOINT");
  const bounds = [start.split(" "), dev.split(" "), JSON.parse(entrypoint) as readonly string[]]
    .map((words) => words.filter((word) => word.startsWith("--v8-flags")));
  for (const bound of bounds) assert.deepEqual(bound, ["--v8-flags=--max-semi-space-size=8"]);
  const [shown] = /--v8-flags=\S+/.exec(read("README.md")) ?? [];
  assert.equal(shown, bounds[0]?.[0]);
});

Deno.test("The service may read every setting, and no other variable", () => {
  const [, list = ""] = /--allow-env=(\S+)/.exec(manifest.tasks.start ?? "") ?? [];
  const patterns = list.split(",");
  const fits = (name: string, pattern: string) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
  for (const name of SETTING_NAMES) {
    assert.ok(patterns.some((pattern) => fits(name, pattern)), `${name} may not be read`);
  }
  for (const pattern of patterns) {
    assert.ok(SETTING_NAMES.some((name) => fits(name, pattern)), `${pattern} is no setting`);
  }
});

Deno.test("The image is built in two stages, runs as nobody, is checked and gets signals itself", () => {
  const stages = instruction("FROM");
  const deno = /^denoland\/deno:(?:distroless-)?2\.\d+\.\d+(?: AS build)?$/;
  assert.equal(stages.length, 2);
  for (const stage of stages) assert.match(stage, deno);
  assert.match(stages[1] ?? "", /distroless/);
  assert.deepEqual(instruction("USER"), ["65532:65532"]);
  assert.match(instruction("ENV").join(" "), /\bHOST=0\.0\.0\.0\b/);
  const [check = ""] = instruction("HEALTHCHECK");
  const probe = JSON.parse(check.slice(check.indexOf("["))) as readonly string[];
  assert.equal(probe[0], "deno");
  assert.match(probe.at(-1) ?? "", /\/livez/);
  assert.match(probe.at(-1) ?? "", /TLS_CERT_FILE/, "it must ask over TLS where that is set");
  const [entrypoint = ""] = instruction("ENTRYPOINT");
  assert.equal(JSON.parse(entrypoint)[0], "deno");
});

Deno.test("The image leaves out what the service does not import, and nothing else", async () => {
  const sources = new Map(await readSources(join(root, "src"), { root }));
  sources.set("main.ts", read("main.ts"));
  const used = new Set(
    [...sources].filter(([path]) => !BESIDE_THE_SERVICE.some((place) => path.startsWith(place)))
      .flatMap(([path, text]) => importsOf(path, text).map(({ to }) => to)),
  );
  const left = instruction("RUN").find((line) => line.startsWith("deno remove"))?.split(" ")
    .slice(2).filter((word) => !word.startsWith("--")) ?? [];
  const unused = Object.keys(manifest.imports).filter((name) =>
    !name.endsWith("/") && !used.has(name)
  );
  assert.deepEqual(left.toSorted(), unused.toSorted());
  assert.match(read(".dockerignore"), /^\*$/m);
  const ignored = read(".dockerignore").split("\n");
  for (const place of BESIDE_THE_SERVICE) {
    assert.ok(ignored.includes(place.replace(/\/$/, "")), place);
  }
});

interface ComposeService {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}
const compose = parse(read("compose.yaml")) as {
  readonly services: Readonly<Record<"pulsewire" | "postgres" | "influxdb", ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

Deno.test("The compose file sets only settings that exist, and they can be used", () => {
  const { environment, image } = compose.services.pulsewire;
  const values = new Map(
    Object.entries(environment).map(([name, value]) => {
      assert.ok(SETTING_NAMES.includes(name), `${name} is no setting`);
      return [name, value.replace(/\$\{\w+:?-([^}]*)\}/g, "$1")];
    }),
  );
  assert.doesNotThrow(() =>
    readConfig({ get: (name) => values.get(name), readFile: () => assert.fail("no file") })
  );
  assert.equal(image, `pulsewire:${manifest.version}`);
});

Deno.test("The compose file's database gets all of sql/ in order, then the login", () => {
  const { volumes = [] } = compose.services.postgres;
  const scripts = volumes.filter((volume) => volume.startsWith("./"));
  const targets = scripts.map((volume) => volume.split(":")[1] ?? "");
  const schema = [...Deno.readDirSync(join(root, "sql"))].map(({ name }) => name).sort();
  assert.deepEqual(
    scripts.slice(0, -1),
    schema.map((name) => `./sql/${name}:/docker-entrypoint-initdb.d/${name}:ro`),
  );
  assert.match(scripts.at(-1) ?? "", /postgres_login\.sh/);
  assert.deepEqual(targets, targets.toSorted());
});

Deno.test("The compose file mounts files that exist, publishes on loopback and waits for health", () => {
  const { pulsewire, postgres, influxdb } = compose.services;
  assert.match(postgres.image, /^postgres:16/);
  assert.match(influxdb.image, /^influxdb:2\.7/);
  for (const service of [pulsewire, postgres, influxdb]) {
    for (const port of service.ports) assert.match(port, /^127\.0\.0\.1:/);
    for (const volume of service.volumes ?? []) {
      const [source = ""] = volume.split(":");
      if (!source.startsWith("./")) assert.ok(source in compose.volumes, source);
      else {
        const { isFile, mode } = Deno.statSync(join(root, source));
        assert.ok(isFile, source);
        if (source.endsWith(".sh")) assert.ok((mode ?? 0) & 0o111, `${source} can't be run`);
      }
    }
  }
  for (const name of ["postgres", "influxdb"] as const) {
    assert.ok((compose.services[name].healthcheck?.test.length ?? 0) > 1);
    assert.equal(pulsewire.depends_on?.[name]?.condition, "service_healthy");
  }
});

Deno.test("The compose file's login may only become the role that reads", () => {
  const script = read("ops/compose/postgres_login.sh");
  assert.match(script, /CREATE ROLE pulsewire LOGIN NOINHERIT NOSUPERUSER .*NOBYPASSRLS/);
  assert.deepEqual(script.match(/^GRANT .*$/gm), ["GRANT pulse_app TO pulsewire;"]);
});

Deno.test("The protocol's tables name every error code and every close code", () => {
  const protocol = read("docs/PROTOCOL.md");
  const section = (title: string) => protocol.split(`# ${title}\n`)[1]?.split(/^#/m)[0] ?? "";
  const firstCells = (text: string) =>
    [...text.matchAll(/^\| `?([a-z_0-9]+)`?\s*\|/gm)].map(([, cell]) => cell).sort();
  assert.deepEqual(firstCells(section("Errors")), Object.keys(MESSAGE_ERRORS).sort());
  const codes = Object.values(CLOSINGS).map(({ closeCode }) => closeCode).filter((code) =>
    code !== null
  );
  assert.deepEqual(firstCells(section("Closing")), [...new Set(codes.map(String))].sort());
});

Deno.test("The protocol's tables name every limit with its setting and its value, and every feature", () => {
  const protocol = read("docs/PROTOCOL.md");
  const rows = [...protocol.matchAll(/^\| `([a-z_]+)`\s*\| `([A-Z_]+)`\s*\| (\d+)\s*\|/gm)].map(
    ([, limit, setting, value]) => ({ limit, setting, value: Number(value) }),
  );
  const limits = Object.entries(LIMITS).map(([limit, { setting, fallback }]) => ({
    limit,
    setting,
    value: fallback,
  }));
  assert.deepEqual(rows, limits);
  for (const feature of FEATURES) assert.match(protocol, new RegExp(`^\\| \`${feature}\``, "m"));
});

Deno.test("README's table of events names what the service logs, each at its level", async () => {
  const sources = new Map(await readSources(join(root, "src"), { root }));
  const logged = new Map<string, string>();
  for (const [path, text] of sources) {
    if (path.startsWith("src/demo/")) continue;
    const calls = /\blog\??\.(debug|info|warning|error)\(\s*"([a-z_]+)"/g;
    for (const [, level = "", event = ""] of text.matchAll(calls)) logged.set(event, level);
    // What an engine or the handshake finds wrong with itself is an error by the name that it gives it.
    for (const [, event = ""] of text.matchAll(/\bfailed\(\s*"([a-z_]+)"/g)) {
      logged.set(event, "error");
    }
  }
  const rows = [...readme.matchAll(/^\| `([a-z_]+)`\s*\| (debug|info|warning|error)\s*\|/gm)];
  assert.deepEqual(
    Object.fromEntries(rows.map(([, event, level]) => [event, level])),
    Object.fromEntries([...logged].toSorted()),
  );
});

Deno.test("Links between the documents lead to files that exist", () => {
  const documents = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/PROTOCOL.md",
    "docs/ARCHITECTURE.md",
    "docs/CLIENT.md",
    "docs/DASHBOARD.md",
    "docs/SECURITY.md",
  ];
  for (const document of documents) {
    for (const [, target = ""] of read(document).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target) || target.startsWith("#")) continue;
      const path = join(root, dirname(document), target.split("#")[0] ?? "");
      assert.ok(Deno.statSync(path), `${document} links to ${target}`);
    }
  }
});
