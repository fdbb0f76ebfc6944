// What this is called and which version of it runs, from the one place where the version stands.
import manifest from "../deno.json" with { type: "json" };

export const VERSION: string = manifest.version;
export const SERVER = `pulsewire/${VERSION}`;
