// Node with npm:ws, started from what is installed and what Deno has fetched. It must fetch nothing.
import { Child } from "../child.ts";
import type { Subject } from "../service.ts";
import type { Installed } from "./centrifugo.ts";
import { outputOf } from "./output_of.ts";

export interface NodeWs extends Installed {
  /** The folder of the package. */
  readonly ws: string;
}

export async function findNodeWs(): Promise<NodeWs | null> {
  const version = await outputOf("node", ["--version"]);
  const info = await outputOf(Deno.execPath(), ["info", "--json"]);
  if (version === null || info === null) return null;
  const { npmCache } = JSON.parse(info) as { readonly npmCache: string };
  for await (const { name } of Deno.readDir(npmCache)) {
    const folder = `${npmCache}/${name}/ws`;
    try {
      for await (const { name: release, isDirectory } of Deno.readDir(folder)) {
        if (isDirectory) return { program: "node", version, ws: `${folder}/${release}` };
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return null;
}

/** It sends each of the texts to everybody, over and over. */
export async function startNodeWs(
  { program, ws }: NodeWs,
  texts: readonly string[],
): Promise<Subject> {
  const process = Child.start("peers/node_ws.cjs", { command: [program], args: [{ ws, texts }] });
  const { port } = await process.ask<{ port: number }>(["port"]);
  return { process, port };
}
