// One engine alone in a process of its own, that echoes texts; it says over stdout what the engine reported.
// Usage: deno run … tests/fuzz/engine_entry.ts ws|deno
import { guardProcess } from "../../src/observe/guard_process.ts";
import { frameOf } from "../../src/protocol/frame.ts";
import { serveDeno } from "../../src/sockets/deno_engine.ts";
import type { Admission, EngineOptions } from "../../src/sockets/socket.ts";
import { serveWs } from "../../src/sockets/ws_engine.ts";
import { answerQuestions } from "./subject_process.ts";

const counts = {
  admitted: 0,
  opened: 0,
  closed: 0,
  abandoned: 0,
  closedTwice: 0,
  faults: 0,
  uncaught: 0,
  tooLong: 0,
};
const MAX_MESSAGE_BYTES = 4_096;

const options: EngineOptions = {
  hostname: "127.0.0.1",
  port: 0,
  path: "/ws",
  fetch: () => new Response("Not found\n", { status: 404 }),
  admit: () => {
    counts.admitted++;
    let isClosed = false;
    const gone = (count: "closed" | "abandoned") => () => {
      counts[isClosed ? "closedTwice" : count]++;
      isClosed = true;
    };
    const admission: Admission = {
      kind: "upgrade",
      protocol: null,
      opened: (socket) => {
        counts.opened++;
        return {
          text: (data) => {
            if (new TextEncoder().encode(data).length > MAX_MESSAGE_BYTES) counts.tooLong++;
            socket.send([frameOf({ type: "error", message: data, code: "internal" })]);
          },
          binary: () => {},
          closed: gone("closed"),
        };
      },
      abandoned: gone("abandoned"),
    };
    return Promise.resolve(admission);
  },
  limits: {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxSockets: 1_000,
    headerTimeoutMs: 1_000,
    keepAliveTimeoutMs: 1_000,
    pingIntervalMs: 1_000,
  },
  tls: null,
  crossed: () => {},
  failed: (fault, error) => {
    counts.faults++;
    console.error(fault, error);
  },
};

const log = { debug() {}, info() {}, warning() {}, error: console.error };
guardProcess({ log, onFault: () => counts.uncaught++ });
const engine = Deno.args[0] === "deno" ? serveDeno(options) : await serveWs(options);
await answerQuestions({ port: () => ({ port: engine.port }), counts: () => ({ ...counts }) });
// Whoever asked has gone: nobody else would end this process.
Deno.exit(0);
