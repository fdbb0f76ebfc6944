// FastAPI with the app of fastapi_way.py, one process as uvicorn starts it, on a port of its own: where a Python that has
// them is looked for. It must never be given databases that are not the service's, too.
import { freePort } from "../../tests/support/free_port.ts";
import type { Installed } from "./centrifugo.ts";
import { outputOf } from "./output_of.ts";
import { Tethered } from "./tethered.ts";

/** Where its tenant stands in place of a token. */
export const FASTAPI_PATH = "/ws?tenant=";
const SAY_VERSIONS = "import aiohttp, fastapi, sys, uvicorn; " +
  "print('FastAPI', fastapi.__version__, 'on Python', sys.version.split()[0])";

export async function findFastApi(): Promise<Installed | null> {
  const program = Deno.env.get("BENCH_PYTHON") ?? "python3";
  const version = await outputOf(program, ["-c", SAY_VERSIONS]);
  return version === null ? null : { program, version };
}

export async function startFastApi(
  { program }: Installed,
  { influxUrl, pollMs }: { readonly influxUrl: string; readonly pollMs: number },
): Promise<Tethered & { readonly port: number }> {
  const port = freePort();
  const folder = new URL(".", import.meta.url).pathname;
  const uvicorn = ["-m", "uvicorn", "fastapi_way:app", "--app-dir", folder, "--port", `${port}`];
  const tethered = await Tethered.start(
    [program, ...uvicorn, "--log-level", "warning", "--ws-ping-interval", "300"],
    {
      port,
      env: {
        INFLUXDB_URL: influxUrl,
        POLL_SECONDS: String(pollMs / 1_000),
        PYTHONDONTWRITEBYTECODE: "1",
      },
    },
  );
  return Object.assign(tethered, { port });
}
