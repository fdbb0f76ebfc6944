// Builds the client library into dist/client: one ES module without dependencies, its types in one file, and what npm needs
// to ship them. It must leave nothing in the types that the module's users could not resolve.
import { build, stop } from "esbuild";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const entry = join(root, "src/client/pulsewire_client.ts");

interface Declaration {
  readonly text: string;
  readonly names: ReadonlySet<string>;
}

/** The emitted declarations of the entry and of all that it imports from the project, by name. */
function declarationsOf(path: string): ReadonlyMap<string, Declaration> {
  const found = new Map<string, Declaration>();
  const program = ts.createProgram([path], {
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [],
    allowImportingTsExtensions: true,
    declaration: true,
    emitDeclarationOnly: true,
    exactOptionalPropertyTypes: true,
    strict: true,
    // It is checked with the rest of the project, where what the service imports can be resolved.
    noCheck: true,
  });
  program.emit(undefined, (name, text) => {
    const file = ts.createSourceFile(name, text, ts.ScriptTarget.ESNext, true);
    for (const statement of file.statements) addDeclaration(found, statement);
  });
  return found;
}

function addDeclaration(found: Map<string, Declaration>, statement: ts.Statement): void {
  const name = nameOf(statement);
  if (name === null) return;
  const text = statement.getFullText().trim().replace(/^((?:\/\*[^]*?\*\/\s*)?)export /, "$1");
  const names = new Set<string>();
  const collect = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) names.add(node.text);
    node.forEachChild(collect);
  };
  statement.forEachChild(collect);
  // A name that two files have is no fault until it is needed.
  found.set(name, found.has(name) ? { text: "", names: new Set() } : { text, names });
}

function nameOf(statement: ts.Statement): string | null {
  const isNamed = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement) ||
    ts.isClassDeclaration(statement) || ts.isFunctionDeclaration(statement);
  if (isNamed) return statement.name?.text ?? null;
  const [variable] = ts.isVariableStatement(statement)
    ? statement.declarationList.declarations
    : [];
  return variable !== undefined && ts.isIdentifier(variable.name) ? variable.name.text : null;
}

/** The names that the entry exports. */
async function exportsOf(path: string): Promise<ReadonlySet<string>> {
  const file = ts.createSourceFile(
    path,
    await Deno.readTextFile(path),
    ts.ScriptTarget.ESNext,
    true,
  );
  const names = new Set<string>();
  for (const statement of file.statements) {
    if (
      ts.isExportDeclaration(statement) && statement.exportClause !== undefined &&
      ts.isNamedExports(statement.exportClause)
    ) {
      for (const { name } of statement.exportClause.elements) names.add(name.text);
    } else if (
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)
    ) {
      const name = nameOf(statement);
      if (name !== null) names.add(name);
    }
  }
  return names;
}

/** What is exported, and what that names, and nothing else. */
async function typesOf(path: string): Promise<string> {
  const declarations = declarationsOf(path);
  const exported = await exportsOf(path);
  const needed = new Set<string>();
  const need = (name: string): void => {
    const declaration = declarations.get(name);
    if (declaration === undefined || needed.has(name)) return;
    if (declaration.text === "") throw new Error(`Two files declare ${name}: rename one of them`);
    needed.add(name);
    for (const used of declaration.names) need(used);
  };
  for (const name of exported) need(name);
  const texts = [...declarations].filter(([name]) => needed.has(name)).map(([name, { text }]) => {
    if (!exported.has(name)) return text;
    return text.replace(/^((?:\/\*[^]*?\*\/\s*)?)/, "$1export ");
  });
  return `${texts.join("\n")}\nexport {};\n`;
}

const [folder = join(root, "dist/client")] = Deno.args;
const { version, license } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
await Deno.mkdir(folder, { recursive: true });
await build({
  entryPoints: [entry],
  outfile: join(folder, "pulsewire_client.js"),
  bundle: true,
  format: "esm",
  platform: "neutral",
  // Classes with private fields as they are; `using` is for those who use it, not for what is built.
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
});
await stop();
await Deno.writeTextFile(join(folder, "pulsewire_client.d.ts"), await typesOf(entry));
const manifest = {
  name: "@pulsewire/client",
  version,
  license,
  description: "Client of a Pulsewire service for browsers, Deno and Node",
  type: "module",
  sideEffects: false,
  exports: { ".": { types: "./pulsewire_client.d.ts", default: "./pulsewire_client.js" } },
  files: ["pulsewire_client.js", "pulsewire_client.d.ts"],
  engines: { node: ">=22" },
};
await Deno.writeTextFile(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
