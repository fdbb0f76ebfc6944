// Builds the page's files out of its modules: `deno task build:dashboard`. The same sources give the same bytes, so that
// `--check` can tell when somebody forgot to; it then writes nothing.
// deno-lint-ignore-file no-console -- It is a command, and no part of the service.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

/** By file name; what they are made of is read from the disk, and nothing is written. */
async function buildDashboard(): Promise<ReadonlyMap<string, string>> {
  const page = fileURLToPath(new URL("../src/dashboard/page/", import.meta.url));
  try {
    const { outputFiles } = await esbuild.build({
      entryPoints: [
        { in: `${page}main.tsx`, out: "dashboard" },
        { in: `${page}dashboard.css`, out: "dashboard" },
      ],
      outdir: page,
      bundle: true,
      minify: true,
      write: false,
      format: "esm",
      target: ["es2023", "chrome120", "firefox121", "safari17"],
      jsx: "automatic",
      jsxImportSource: "preact",
      charset: "utf8",
      legalComments: "none",
      banner: { js: LICENCES },
      plugins: [packages],
      logLevel: "error",
    });
    const built = outputFiles.map(({ path, text }) => [path.slice(page.length), text] as const);
    return new Map([
      ["dashboard.html", await Deno.readTextFile(`${page}dashboard.html`)],
      ...built,
    ]);
  } finally {
    await esbuild.stop();
  }
}

const LICENCES = [
  "/* Built by `deno task build:dashboard`; the modules are in src/dashboard/page/.",
  "It contains uPlot (MIT, (c) 2022 Leon Sorokin), Preact (MIT, (c) 2015-present Jason Miller) and",
  "@preact/signals (MIT, (c) 2022-present Preact Team). */",
].join("\n");

/** Packages stand in the runtime's cache, where only the runtime finds them. */
const packages: esbuild.Plugin = {
  name: "packages",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, importer, kind }) => {
      if (kind === "entry-point") return undefined;
      if (kind === "import-rule") return { path: stylesOf(path) };
      return { path: moduleOf(path, importer) };
    });
  },
};

function moduleOf(name: string, importer: string): string {
  if (name === "uplot") return stylesOf("uplot/dist/uPlot.esm.js");
  try {
    const resolved = import.meta.resolve(name);
    if (resolved.startsWith("file:")) return fileURLToPath(resolved);
  } catch {
    // What a package itself depends on is known to that package only.
  }
  return createRequire(importer).resolve(name);
}

/** A file inside of a package, beside its entry. */
function stylesOf(path: string): string {
  const [name = "", ...rest] = path.split("/");
  const entry = fileURLToPath(import.meta.resolve(name));
  return entry.slice(0, entry.lastIndexOf("/dist/")) + `/${rest.join("/")}`;
}

async function keptFile(name: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(new URL(`../src/dashboard/assets/${name}`, import.meta.url));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

const isCheck = Deno.args.includes("--check");
for (const [name, text] of await buildDashboard()) {
  if (!isCheck) {
    await Deno.writeTextFile(new URL(`../src/dashboard/assets/${name}`, import.meta.url), text);
    console.log(`${name}: ${(text.length / 1_024).toFixed(1)} KiB`);
  } else if (await keptFile(name) !== text) {
    console.error(`${name} is not what the sources give: run deno task build:dashboard`);
    Deno.exitCode = 1;
  }
}
