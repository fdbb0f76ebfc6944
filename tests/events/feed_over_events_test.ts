// The feed's behaviours over server-sent events, on both engines.
import { testFeed } from "./feed_suite.ts";
import { overEvents } from "./feed_transport.ts";

testFeed(overEvents, "ws");
testFeed(overEvents, "deno");
