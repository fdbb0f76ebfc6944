// Logs one fault a hundred times and ends, in the format that its argument names.
import { createLog } from "../../src/observe/log.ts";

const log = createLog({ level: "info", format: Deno.args[0] === "json" ? "json" : "text" });
for (let n = 1; n <= 100; n++) log.error("read_failed", { n });
