// The entry: hands its arguments to the command line, which serves unless told otherwise. No logic.
import { runCli } from "./src/cli/run_cli.ts";

const code = await runCli(Deno.args);
if (code !== null) Deno.exit(code);
