// Holds the image to what main.ts needs and to what an image must never hold. It parses the Dockerfile and runs no engine.
import assert from "node:assert/strict";
import { DockerfileParser, type From, type Healthcheck, type Instruction } from "dockerfile-ast";
import { readExample } from "./example_file.ts";
import { modulesOfMain, pageFiles } from "./module_graph.ts";

const file = DockerfileParser.parse(readExample("Dockerfile"));
const SECRET = /SECRET|TOKEN|PASSWORD|DATABASE_URL|DATABASE_LISTEN_URL|_KEY\b/i;

function all(keyword: string): readonly Instruction[] {
  return file.getInstructions().filter((one) => one.getKeyword() === keyword);
}

/** What one instruction says, with continued lines joined. */
function textOf(instruction: Instruction): string {
  return instruction.getArguments().map((argument) => argument.getValue()).join(" ");
}

/** Instructions of the stage that becomes the image. */
function lastStage(): readonly Instruction[] {
  const instructions = file.getInstructions();
  return instructions.slice(instructions.findLastIndex((one) => one.getKeyword() === "FROM"));
}

/** Whether .dockerignore lets a path into the build; as with Docker its last line that fits decides. */
function isSent(path: string): boolean {
  let sent = true;
  for (const line of readExample(".dockerignore").split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const isException = line.startsWith("!");
    const pattern = line.replace(/^!/, "").replace(
      /\*\*\/|\*|[.+()[\]{}^$|\\]/g,
      (mark) => mark === "**/" ? "(?:.*/)?" : mark === "*" ? "[^/]*" : `\\${mark}`,
    );
    if (new RegExp(`^${pattern}(?:/.*)?$`).test(path)) sent = isException;
  }
  return sent;
}

/** What the build stage copies from the checkout. */
function copied(): readonly string[] {
  return all("COPY").filter((one) => !one.getRawArgumentsContent()?.startsWith("--from")).flatMap(
    (one) => one.getArguments().slice(0, -1).map((argument) => argument.getValue()),
  );
}

Deno.test("The image gets every file that main.ts loads and reads", async () => {
  const needed = [...await modulesOfMain(), ...pageFiles(), "deno.json", "deno.lock"];
  assert.ok(needed.length > 50);
  const places = copied();
  for (const path of needed) {
    assert.ok(isSent(path), `.dockerignore keeps ${path} out`);
    const isCopied = places.some((place) => path === place || path.startsWith(`${place}/`));
    assert.ok(isCopied, `no COPY takes ${path}`);
  }
});

Deno.test("Neither secrets nor what lies about in a checkout are sent to the build", () => {
  const strays = [".env", "src/.env", "src/http/.env.local", ".git/config", "tests/run.ts"];
  for (const path of [...strays, "src/demo/main.ts", "dist/pulsewire", "ops/kubernetes/x.yaml"]) {
    assert.ok(!isSent(path), `${path} is sent`);
  }
});

Deno.test("The image is made of exact versions, of one version of the runtime, and of nothing fetched by hand", () => {
  const images = all("FROM").map((one) => (one as From).getImage() ?? "");
  assert.equal(images.length, 2);
  const versions = images.map((image) =>
    /^denoland\/deno:(?:distroless-)?(\d+\.\d+\.\d+)$/.exec(image)
  );
  for (const [n, version] of versions.entries()) assert.ok(version, `${images[n]} is not exact`);
  const [, ci] = /^deno_version=(\S+)$/m.exec(readExample(".ci/run")) ?? [];
  assert.deepEqual(new Set(versions.map((version) => version?.[1])), new Set([ci]));
  assert.deepEqual(all("ADD"), []);
  for (const run of all("RUN")) assert.doesNotMatch(textOf(run), /curl|wget|apt-get|\bsudo\b/);
  assert.match(all("RUN").map(textOf).join("\n"), /deno cache --frozen main\.ts/);
});

Deno.test("The image holds no secret and takes none while it is built", () => {
  assert.deepEqual(all("ARG"), []);
  for (const { name, line } of all("ENV").flatMap(variables)) {
    assert.doesNotMatch(name, SECRET, line);
  }
});

function variables(instruction: Instruction): readonly { name: string; line: string }[] {
  const line = textOf(instruction);
  return [...line.matchAll(/([A-Za-z_]\w*)=/g)].map(([, name = ""]) => ({ name, line }));
}

Deno.test("The image runs as a number that is not root, from the last stage on", () => {
  const users = lastStage().filter((one) => one.getKeyword() === "USER").map(textOf);
  assert.equal(users.length, 1);
  const [uid, gid] = (users[0] ?? "").split(":").map(Number);
  assert.ok(Number(uid) > 0 && Number(gid) > 0, String(users[0]));
  const keywords = lastStage().map((one) => one.getKeyword());
  assert.ok(keywords.indexOf("USER") > keywords.lastIndexOf("COPY"), "its files are its own");
  assert.ok(!keywords.includes("RUN"), "the image has no shell");
  assert.ok(!keywords.includes("VOLUME"), "it writes nothing");
});

Deno.test("The image's commands need no shell, and health is asked more often than patience lasts", () => {
  const stage = lastStage();
  const check = stage.find((one) => one.getKeyword() === "HEALTHCHECK");
  const entry = stage.find((one) => one.getKeyword() === "ENTRYPOINT");
  assert.ok(check && entry);
  assert.equal(stage.some((one) => one.getKeyword() === "CMD"), false);
  for (const text of [check.getRawArgumentsContent(), entry.getRawArgumentsContent()]) {
    const words = JSON.parse((text ?? "").slice((text ?? "").indexOf("[")));
    assert.equal(words[0], "deno");
  }
  const flags = (check as Healthcheck).getFlags();
  const seconds = (name: string) =>
    Number(/^(\d+)s$/.exec(flags.find((flag) => flag.getName() === name)?.getValue() ?? "")?.[1]);
  assert.ok(seconds("timeout") > 0 && seconds("timeout") < seconds("interval"));
  assert.ok(seconds("start-period") > 0);
  const entryText = entry.getRawArgumentsContent() ?? "";
  assert.ok(entryText.includes('"--cached-only"'), "nothing is fetched when it starts");
  assert.ok(entryText.includes('"--frozen"'));
});
