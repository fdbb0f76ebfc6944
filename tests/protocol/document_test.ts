// The examples of the protocol's document, held to the code: what it shows a client sending can be sent.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ACTIONS, CHANNELS } from "../../src/protocol/client_messages.ts";
import { decode } from "../../src/protocol/decode.ts";

const protocol = readFileSync(new URL("../../docs/PROTOCOL.md", import.meta.url), "utf8");

const EXAMPLES = [
  ...protocol.matchAll(/^```json\n([^]*?)^```$/gm),
  ...protocol.matchAll(/`(\{"action"[^`…]+\})`/g),
].map(([, text = ""]) => text);

interface Example {
  readonly action?: string;
  readonly type?: string;
}

const messages: readonly Example[] = EXAMPLES.map((text) => JSON.parse(text));

Deno.test("Every message that the protocol shows a client sending is taken", () => {
  for (const message of messages) {
    if (message.action === undefined) continue;
    const decoded = decode(JSON.stringify(message));
    assert(decoded.ok, `refused: ${JSON.stringify(message)}`);
  }
});

Deno.test("The protocol shows every action, and every channel subscribed to", () => {
  const shown = new Set(messages.map(({ action }) => action));
  for (const action of ACTIONS) assert(shown.has(action), action);
  const subscribed = messages.filter(({ action }) => action === "subscribe");
  for (const channel of CHANNELS) assert(subscribed.some(({ type }) => type === channel), channel);
});

Deno.test("Links within the protocol lead to sections that exist", () => {
  const anchors = new Set(
    [...protocol.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading.toLowerCase().replace(/[^a-z0-9_ -]/g, "").replaceAll(" ", "-")
    ),
  );
  const links = [...protocol.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = ""]) => anchor);
  assert(links.length > 20, `only ${links.length} links were found`);
  for (const anchor of links) assert(anchors.has(anchor), `#${anchor} leads nowhere`);
});
