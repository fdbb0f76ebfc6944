// The `ws` engine under the contract of all engines; what it alone promises stands in ws_abuse_test.ts.
import { serveWs } from "../../src/sockets/ws_engine.ts";
import { engineSuite } from "./engine_suite.ts";

engineSuite("ws", serveWs);
