// A worker that does nothing else any more once it is asked a question with a certain word in it, until the file exists that
// is named behind the word: what a loop without end would do.
import { parentPort } from "node:worker_threads";
import "../../src/worker.ts";

const sleeper = new Int32Array(new SharedArrayBuffer(4));

parentPort?.on("message", (text: string) => {
  const [, path] = /freeze until ([^"]+)"/.exec(text) ?? [];
  while (path !== undefined && !isThere(path)) Atomics.wait(sleeper, 0, 0, 20);
});

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
