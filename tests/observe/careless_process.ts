// Logs a token, deep in the cause of an error, as no part of the service may.
import { memoryLog } from "../support/memory_log.ts";
import { signToken } from "../support/tokens.ts";

const cause = new TypeError(`Cannot take ${await signToken()}`);
memoryLog().error("handshake_failed", { error: new Error("Cannot answer", { cause }) });
