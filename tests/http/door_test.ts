// The door by itself, for moments that no client can choose: the drain that begins while a token is verified.
import assert from "node:assert/strict";
import type { Scope } from "../../src/auth/scope.ts";
import { Door } from "../../src/http/door.ts";
import type { Admission, Socket } from "../../src/sockets/socket.ts";
import { memoryLog } from "../support/memory_log.ts";

const scope: Scope = {
  tenantId: "acme",
  userId: "user-1",
  email: null,
  role: "customer_viewer",
  expiresAt: Number.MAX_SAFE_INTEGER,
};

function openDoor(verify: () => Promise<Scope>) {
  const entered: Socket[] = [];
  const door = new Door({
    verifier: {
      verify,
      reach: () => Promise.resolve(true),
      state: { reached: true, failure: null },
    },
    accept: new Set(["query"]),
    maxRefusedSockets: 1,
    log: memoryLog(),
    enter: (socket) => {
      entered.push(socket);
      return { text() {}, binary() {}, closed() {} };
    },
  });
  return { door, entered };
}

function knock(door: Door, query = "?token=t"): Promise<Admission> {
  const url = new URL(`http://127.0.0.1/api/v2/ws${query}`);
  return door.admit({ url, headers: new Headers(), address: "127.0.0.1" });
}

/** A socket that notes how it was closed. */
function socketOf(closes: Array<readonly [number, string]>): Socket {
  return {
    bufferedBytes: 0,
    send() {},
    close: (code, reason) => void closes.push([code, reason]),
    terminate() {},
  };
}

Deno.test("Whose token is still being verified when the drain begins gets 503", async () => {
  const verified = Promise.withResolvers<Scope>();
  const { door } = openDoor(() => verified.promise);
  const admission = knock(door);
  door.shut();
  verified.resolve(scope);
  const verdict = await admission;
  assert(verdict.kind === "respond");
  assert.equal(verdict.response.status, 503);
});

Deno.test("A socket that opens after the drain began is closed with 1012 and never enters", async () => {
  const { door, entered } = openDoor(() => Promise.resolve(scope));
  const verdict = await knock(door);
  assert(verdict.kind === "upgrade");
  door.shut();
  const closes: Array<readonly [number, string]> = [];
  verdict.opened(socketOf(closes));
  assert.deepEqual(closes, [[1012, "Restarting"]]);
  assert.deepEqual(entered, []);
});

Deno.test("A refused client that never opens its socket gives its place back", async () => {
  const { door } = openDoor(() => Promise.resolve(scope));
  const first = await knock(door, "");
  assert(first.kind === "upgrade");
  assert.equal(door.refusedSockets, 1);
  assert.equal((await knock(door, "")).kind, "respond");
  first.abandoned?.();
  assert.equal(door.refusedSockets, 0);
  assert.equal((await knock(door, "")).kind, "upgrade");
});

Deno.test("A verifier that breaks is our own fault and not the client's", async () => {
  const { door } = openDoor(() => Promise.reject(new TypeError("broken")));
  await assert.rejects(knock(door), new TypeError("broken"));
});
