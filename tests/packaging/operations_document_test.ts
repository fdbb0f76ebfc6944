// Holds docs/OPERATIONS.md to the code: error and close codes, events, metrics, settings, links, and what was not run.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { SETTING_NAMES } from "../../src/config.ts";
import { CLOSINGS, MESSAGE_ERRORS, REQUEST_ERRORS } from "../../src/errors.ts";
import { METRICS } from "../../src/observe/metric_table.ts";
import { readExample } from "./example_file.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PATH = "docs/OPERATIONS.md";
const text = readExample(PATH);

/** What stands below a heading, up to the next of the same or a higher level. */
function section(title: string): string {
  const [, marks = "", rest = ""] = new RegExp(`^(#+) ${title}\n([^]*)`, "m").exec(text) ??
    assert.fail(`no section ${title}`);
  return rest.split(new RegExp(`^#{1,${marks.length}} `, "m"))[0] ?? "";
}

/** Cells of a table's rows. */
function rows(part: string): readonly (readonly string[])[] {
  return part.split("\n").filter((line) => /^\| /.test(line)).slice(1)
    .filter((line) => !/^\| -/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("The operators' table has every error code with its status, its close, a cause and a cure", () => {
  const table = Object.fromEntries(
    rows(section("Errors and close codes")).map(([code = "", http, close, cause, cure]) => {
      assert.ok(cause !== "" && cure !== "", `${code} has no cause or no cure`);
      return [code.replaceAll("`", ""), { http: Number(http), close: close || null }];
    }),
  );
  const entries = { ...MESSAGE_ERRORS, ...REQUEST_ERRORS, ...CLOSINGS };
  const expected = Object.fromEntries(
    Object.entries(entries).map(([code, { status, closeCode }]) => [
      code,
      { http: status, close: closeCode === null ? null : String(closeCode) },
    ]),
  );
  assert.deepEqual(table, expected);
});

Deno.test("The operators' close codes that no fault has are not the service's own", () => {
  const others = rows(section("Close codes")).map(([code]) => Number(code));
  assert.ok(others.includes(1006));
  for (const { closeCode } of Object.values(CLOSINGS)) {
    assert.ok(closeCode === null || !others.includes(closeCode), String(closeCode));
  }
});

Deno.test("Events and metrics that operators are told of exist", () => {
  const readme = readExample("README.md");
  const events = rows(section("What the log says")).flatMap(([cell = ""]) =>
    [...cell.matchAll(/`([a-z_]+)`/g)].map(([, event]) => event)
  );
  assert.ok(events.length > 10);
  for (const event of events) {
    assert.match(readme, new RegExp(`^\\| \`${event}\`\\s*\\|`, "m"), `${event} is no event`);
  }
  const metrics = [...text.matchAll(/`(pulsewire_[a-z_]+)`/g)].map(([, name = ""]) => name);
  assert.ok(metrics.length > 5);
  for (const name of metrics) assert.ok(Object.hasOwn(METRICS, name), `${name} is no metric`);
});

Deno.test("Every alert has a row that says what it means and what to do", () => {
  const { groups } = parse(readExample("ops/prometheus-rules.yml")) as {
    groups: readonly { rules: readonly { alert?: string }[] }[];
  };
  const alerts = groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? []));
  assert.ok(alerts.length > 0);
  const table = rows(section("Metrics and alerts"));
  for (const cells of table) assert.ok(cells.length === 3 && cells.every((cell) => cell !== ""));
  assert.deepEqual(table.map(([name = ""]) => name.replaceAll("`", "")), alerts);
});

/** What reads like a setting and is one of somebody else's. */
const NO_SETTINGS = ["DENORT_BIN", "INFLUXDB_URL"];

Deno.test("Settings that operators are told of exist", () => {
  const prose = text.replace(/^```[^]*?^```/gm, "");
  const named = [...prose.matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`/g)].map(
    ([, name = ""]) => name,
  );
  assert.ok(named.length > 30);
  for (const name of named) {
    assert.ok([...SETTING_NAMES, ...NO_SETTINGS].includes(name), `${name} is no setting`);
  }
});

Deno.test("Links of the operators' document lead somewhere", () => {
  const anchorOf = (title: string) =>
    title.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");
  const anchors = (document: string) =>
    [...document.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => anchorOf(title));
  const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target);
  assert.ok(links.length > 30);
  for (const target of links) {
    const [file = "", anchor] = target.split("#");
    const path = file === "" ? PATH : join(dirname(PATH), file);
    const { isFile } = Deno.statSync(join(ROOT, path));
    if (anchor === undefined) continue;
    assert.ok(isFile && anchors(readExample(path)).includes(anchor), `no ${target}`);
  }
});

Deno.test("Commands that need what was not at hand are marked as not run", () => {
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)];
  const absent = /\b(docker (build|run|compose)|kubectl|systemctl|journalctl|useradd)\b/;
  const unrun = blocks.filter(([, commands = ""]) => absent.test(commands));
  assert.ok(unrun.length >= 4);
  for (const block of unrun) {
    // Said in the block's own section, before it.
    const before = text.slice(0, block.index);
    const own = before.slice(before.search(/^#{2,3} (?![^]*^#{2,3} )/m));
    assert.match(own, /\*\*Not run here\*\*/, String(block[1]));
  }
});

Deno.test("Every example below ops/ is named in the operators' document", () => {
  const files = (folder: string): string[] =>
    [...Deno.readDirSync(join(ROOT, folder))].flatMap(({ name, isDirectory }) =>
      isDirectory ? files(`${folder}/${name}`) : [`${folder}/${name}`]
    );
  for (const path of files("ops")) {
    // What only the compose file mounts is its own business.
    if (path.startsWith("ops/compose/")) continue;
    assert.ok(text.includes(`(../${path})`), `${path} is not named`);
  }
});
