// The runtime's own WebSockets under the contract of all engines.
import { serveDeno } from "../../src/sockets/deno_engine.ts";
import { engineSuite } from "./engine_suite.ts";

engineSuite("deno", serveDeno, { keepsAbandoned: true });
