// What the tests of the door share: a service, clients that report how they fared, and a search of every log record
// for every token that was sent.
import assert from "node:assert/strict";
import { RawPeer, upgradeRequest } from "../sockets/raw_peer.ts";
import { TestClient } from "../support/client.ts";
import { fakeSources } from "../support/fake_sources.ts";
import type { MemoryLog } from "../support/memory_log.ts";
import { startService, type TestService } from "../support/service.ts";

export interface Handshakes extends AsyncDisposable {
  readonly service: TestService;
  /** Comes with a token (or, null, with none) and tells how the socket was closed; fails when it stays open. */
  refusal(token: string | null): Promise<{ code: number; reason: string }>;
  /** Comes with a token and says whether it was let in. */
  isLetIn(token: string): Promise<boolean>;
  /** The head of the answer to an upgrade, by a peer that must be disposed. */
  knock(token: string | null): Promise<RawPeer>;
}

export async function startHandshakes(
  settings: Readonly<Record<string, string>> = {},
): Promise<Handshakes> {
  const service = await startService({ sources: fakeSources(), settings });
  const sent = new Set<string>();
  const note = (token: string | null) => {
    if (token !== null) sent.add(token);
    return token ?? undefined;
  };
  return {
    service,
    async refusal(token) {
      await using client = await TestClient.connect(service.socketUrl(note(token)));
      const timeout = Promise.withResolvers<never>();
      const timer = setTimeout(() => timeout.reject(new Error("The socket stayed open")), 30_000);
      try {
        return await Promise.race([client.closed, timeout.promise]);
      } finally {
        clearTimeout(timer);
        assert.deepEqual(client.texts, []);
      }
    },
    async isLetIn(token) {
      await using client = await TestClient.connect(service.socketUrl(note(token)));
      if (client.isClosed) return false;
      return (await client.ask({ action: "subscribe", type: "alerts" })).type === "subscribed";
    },
    async knock(token) {
      const query = note(token) === undefined ? "" : `?token=${token}`;
      return await RawPeer.request(service.port, upgradeRequest(`/api/v2/ws${query}`));
    },
    async [Symbol.asyncDispose]() {
      await service.stop();
      assertNoToken(service.log, sent);
    },
  };
}

/** Looks for tokens, and for the parts that make them worth stealing, wherever a record could hold them. */
export function assertNoToken(log: MemoryLog, tokens: Iterable<string>): void {
  const text = log.records.map((record) => Deno.inspect(record, INSPECT)).join("\n");
  for (const token of tokens) {
    const secrets = [token, ...token.split(".")].filter((part) => part.length >= 20);
    for (const secret of secrets) assert(!text.includes(secret), `a log record holds ${secret}`);
  }
}

const INSPECT = { depth: 20, strAbbreviateSize: 1_000_000, iterableLimit: 1_000_000 } as const;
