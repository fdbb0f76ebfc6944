// The feed's behaviours over WebSocket, on both engines.
import { testFeed } from "./feed_suite.ts";
import { overWebSocket } from "./feed_transport.ts";

testFeed(overWebSocket, "ws");
testFeed(overWebSocket, "deno");
