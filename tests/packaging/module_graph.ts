// What main.ts needs of this repository: the modules that it loads and the files that it reads while it runs.
import { embeddedFiles } from "../../tools/compile_arguments.ts";

const ROOT = new URL("../../", import.meta.url);

interface Graph {
  readonly roots: readonly string[];
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
  }[];
}

/** Paths from the root, sorted; what is imported for its types alone is not loaded. */
export async function modulesOfMain(): Promise<readonly string[]> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  if (code !== 0) throw new Error(`Cannot list modules: ${new TextDecoder().decode(stderr)}`);
  const { roots, modules } = JSON.parse(new TextDecoder().decode(stdout)) as Graph;
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const found = new Set<string>();
  const visit = (specifier: string): void => {
    if (!specifier.startsWith(ROOT.href) || found.has(specifier)) return;
    found.add(specifier);
    for (const { code } of bySpecifier.get(specifier)?.dependencies ?? []) {
      if (code?.specifier !== undefined) visit(code.specifier);
    }
  };
  for (const root of roots) visit(root);
  return [...found].map((specifier) => decodeURIComponent(specifier.slice(ROOT.href.length)))
    .sort();
}

/** The dashboard's files, which are read and not imported. */
export function pageFiles(): readonly string[] {
  return embeddedFiles().filter((path) => path.startsWith("src/dashboard/"));
}
