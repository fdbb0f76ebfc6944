// Makes every request that docs/openapi.yaml shows of a running service, and every problem that it names come about on
// every route that it names it for.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { Scope } from "../../src/auth/scope.ts";
import { headersOf, REQUEST_ERRORS, type RequestErrorCode } from "../../src/errors.ts";
import { HTTP_ANSWERS } from "../../tools/api/http_answers.ts";
import { messageFault } from "../support/message_fault.ts";
import { outage } from "../support/fake_sources.ts";
import { generateSigner, signToken } from "../support/tokens.ts";
import { assertDocumented, type Plant, startPlant } from "./example_plant.ts";

interface Example {
  readonly value: unknown;
  readonly "x-request": string;
}

interface Shown {
  readonly $ref?: string;
}

interface Operation {
  readonly security: readonly unknown[];
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly content?: Readonly<
          Record<
            string,
            {
              readonly schema: Shown;
              readonly examples?: Readonly<Record<string, Shown | Example>>;
            }
          >
        >;
      }
    >
  >;
}

const document = parse(readFileSync(new URL("../../docs/openapi.yaml", import.meta.url), "utf8"));

interface Answered {
  readonly request: string;
  readonly status: number;
  readonly type: string;
  readonly schema: string | null;
  /** The code of a problem that is asked for by its name, in place of a request of its own. */
  readonly problem: string | null;
  readonly value: unknown;
  readonly isOpen: boolean;
}

const answers: readonly Answered[] = Object.entries<Record<string, Operation>>(document.paths)
  .flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses, security }]) =>
      Object.entries(responses).flatMap(([status, { content = {} }]) =>
        Object.entries(content).flatMap(([type, { schema, examples = {} }]) =>
          Object.entries(examples).map(([name, shown]) => {
            const isCommon = "$ref" in shown;
            const example: Example = isCommon ? document.components.examples[name] : shown;
            return {
              request: isCommon
                ? `${method.toUpperCase()} ${path.replace("{id}", "dev-0001")}`
                : example["x-request"],
              status: Number(status),
              type,
              schema: schema.$ref?.split("/").at(-1) ?? null,
              problem: isCommon ? name : null,
              value: example.value,
              isOpen: security.length === 0,
            };
          })
        )
      )
    )
  );

/** How a problem is brought about: the settings, what happens before, and the headers of the requests. */
interface Cause {
  /** Whether time stands still, so that nothing that was used up comes back. */
  readonly isStill?: true;
  readonly settings?: Readonly<Record<string, string>>;
  readonly before?: (plant: Plant) => Promise<unknown> | void;
  readonly headers?: (plant: Plant) => Promise<Readonly<Record<string, string>>>;
}

const bearer = async (plant: Plant, claims = {}) => ({
  authorization: `Bearer ${await plant.token(claims)}`,
});

const SCOPE: Scope = {
  tenantId: "acme",
  userId: "user-1",
  email: null,
  role: "customer_viewer",
  expiresAt: Infinity,
};

const CAUSES: Readonly<Record<string, Cause>> = {
  token_missing: { headers: () => Promise.resolve({}) },
  invalid_token: { headers: () => Promise.resolve({ authorization: "Bearer nonsense" }) },
  not_allowed: { headers: (plant) => bearer(plant, { role: "nobody" }) },
  ambiguous_credential: {
    headers: () => Promise.resolve({ authorization: "Bearer one, Bearer two" }),
  },
  too_many_requests: {
    isStill: true,
    async before({ service }) {
      for (let asked = 0; asked < 1_000; asked++) {
        const response = await fetch(`${service.origin}/api/v2/devices`);
        await response.body?.cancel();
      }
    },
  },
  keys_unavailable: {
    settings: { JWKS_URL: "http://127.0.0.1:1/keys" },
    async headers({ clock }) {
      const signer = await generateSigner("ES256", "key-1");
      return { authorization: `Bearer ${await signToken({}, { signer, nowMs: clock.now() })}` };
    },
  },
  source_unavailable: {
    before({ sources }) {
      sources.telemetryFault = outage;
      sources.historyFault = outage;
      sources.alertFault = outage;
    },
  },
  origin_not_allowed: {
    settings: { ALLOWED_ORIGINS: "https://plant.example.com" },
    headers: async (plant) => ({ ...await bearer(plant), origin: "https://other.example.com" }),
  },
  too_many_connections: {
    before({ service }) {
      const seats = Array.from({ length: 200 }, () => service.app.seats.take("elsewhere"));
      for (const seat of seats) {
        assert(typeof seat !== "string");
        assert.equal(seat.claim(SCOPE), null);
      }
    },
  },
  going_away: { before: ({ service }) => void service.app.drain(0) },
};

async function ask(plant: Plant, { request, problem, isOpen }: Answered): Promise<Response> {
  const cause = problem === null ? {} : CAUSES[problem] ?? assert.fail(`${problem} has no cause`);
  const [method = "", path = ""] = request.split(" ");
  const headers = isOpen ? {} : await (cause.headers ?? bearer)(plant);
  const response = fetch(`${plant.service.origin}${path}`, { method, headers });
  return await (cause.isStill ? response : plant.passing(response));
}

async function assertAnswered(plant: Plant, answer: Answered): Promise<void> {
  const { request, status, type, schema, value } = answer;
  const name = `${request}, ${answer.problem ?? status}`;
  const response = await ask(plant, answer);
  if (type === "text/event-stream") {
    assert.equal(response.headers.get("content-type"), type, name);
    return await assertStreamed(plant, response, String(value));
  }
  const text = await response.text();
  assert.equal(response.status, status, `${name}: ${text}`);
  assert.equal(response.headers.get("content-type")?.split(";")[0], type, name);
  if (schema === null) {
    assert.equal(text, value, name);
    return;
  }
  const body = JSON.parse(text);
  if (isProblem(body.code)) {
    for (const header of Object.keys(headersOf(body.code))) {
      assert.ok(response.headers.has(header), `${name} has no ${header}`);
    }
  }
  const parsed = HTTP_ANSWERS[schema as keyof typeof HTTP_ANSWERS].parse(body);
  assert.equal(JSON.stringify(parsed), JSON.stringify(body), name);
  // No two tickets are alike.
  assertDocumented(
    body,
    schema === "Ticket" ? { ...value as object, ticket: body.ticket } : value,
    name,
  );
}

function isProblem(code: unknown): code is RequestErrorCode {
  return typeof code === "string" && code in REQUEST_ERRORS;
}

/** That a stream holds these events in this order, beside others. */
async function assertStreamed(plant: Plant, response: Response, shown: string): Promise<void> {
  const wanted = shown.trim().split("\n\n");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (wanted.some((event) => !text.includes(`${event}\n`))) {
      const { done, value } = await plant.passing(reader.read());
      assert.ok(!done, `the stream ended after ${text}`);
      text += value;
    }
  } finally {
    await reader.cancel();
  }
  const places = wanted.map((event) => text.indexOf(`${event}\n`));
  assert.deepEqual(places, places.toSorted((one, other) => one - other));
  for (const [, data = ""] of text.matchAll(/^data: (.*)$/gm)) {
    assert.equal(messageFault(data), null);
  }
}

Deno.test("Every request that the document shows is answered as it says", async () => {
  const ownExamples = answers.filter(({ problem }) => problem === null);
  assert.ok(ownExamples.length > 15);
  await using plant = await startPlant();
  // Both sources count as unknown until they were reached once.
  await plant.passing(fetch(`${plant.service.origin}/readyz`).then((response) => response.text()));
  for (const answer of ownExamples) await assertAnswered(plant, answer);
});

for (const [code, { settings = {}, before }] of Object.entries(CAUSES)) {
  Deno.test(`The problem ${code} looks as documented wherever it is documented`, async () => {
    const named = answers.filter(({ problem }) => problem === code);
    assert.ok(named.length > 0);
    await using plant = await startPlant(settings);
    await before?.(plant);
    for (const answer of named) await assertAnswered(plant, answer);
  });
}

Deno.test("Every problem that the document names has a cause here", () => {
  const named = Object.keys(document.components.examples);
  assert.deepEqual(named.toSorted(), Object.keys(CAUSES).toSorted());
});

Deno.test("Whatever the document says can be read tells other methods so", async () => {
  await using plant = await startPlant();
  const reads = Object.entries<Record<string, Operation>>(document.paths)
    .filter(([, { get }]) => get !== undefined && "200" in get.responses)
    .map(([path]) => path.replace("{id}", "dev-0001"));
  assert.ok(reads.length >= 10, `${reads.length} paths`);
  for (const path of reads) {
    for (const [method, status] of [["OPTIONS", 204], ["POST", 405], ["DELETE", 405]] as const) {
      const response = await fetch(`${plant.service.origin}${path}`, { method });
      await response.body?.cancel();
      const answer = [response.status, response.headers.get("allow")];
      assert.deepEqual(answer, [status, "GET, HEAD, OPTIONS"], `${method} ${path}`);
    }
  }
});
