// Where a credential may stand in a request, and what is said when it is not exactly one.
import assert from "node:assert/strict";
import {
  type CredentialPlace,
  findCredential,
  selectSubprotocol,
} from "../../src/auth/credential.ts";

const EVERYWHERE: readonly CredentialPlace[] = ["query", "header", "subprotocol", "ticket"];

function find(
  search: string,
  headers: Record<string, string> = {},
  accept: readonly CredentialPlace[] = EVERYWHERE,
) {
  const request = { search, headers: new Headers(headers) };
  return findCredential(request, { accept: new Set(accept) });
}

Deno.test("a token is found in the query", () => {
  assert.deepEqual(find("?token=a.b-_c"), { kind: "token", token: "a.b-_c", place: "query" });
});

Deno.test("a token is found in the Authorization header, whatever the case of its scheme", () => {
  for (const scheme of ["Bearer", "bearer", "BEARER "]) {
    assert.deepEqual(
      find("", { authorization: `${scheme} a.b.c` }),
      { kind: "token", token: "a.b.c", place: "header" },
    );
  }
});

Deno.test("a token is found among the subprotocols, with and without spaces and in any order", () => {
  for (
    const offer of [
      "pulsewire, bearer.a.b.c",
      "pulsewire,bearer.a.b.c",
      "bearer.a.b.c ,\tpulsewire",
      "other, pulsewire, bearer.a.b.c",
    ]
  ) {
    assert.deepEqual(
      find("", { "sec-websocket-protocol": offer }),
      { kind: "token", token: "a.b.c", place: "subprotocol" },
    );
  }
});

Deno.test("a ticket is found in the query", () => {
  assert.deepEqual(find("?ticket=xyz"), { kind: "ticket", ticket: "xyz" });
});

Deno.test("no credential, an empty one and one of another scheme are missing", () => {
  const headers = [
    {},
    { authorization: "Basic dXNlcjpwYXNz" },
    { authorization: "Bearer" },
    { authorization: "Bearer " },
    { authorization: "Bearera.b.c" },
    { "sec-websocket-protocol": "pulsewire" },
    { "sec-websocket-protocol": "pulsewire, bearer." },
    { "sec-websocket-protocol": "pulsewire, Bearer.a.b.c" },
  ];
  for (const each of headers) {
    for (const search of ["", "?", "?token", "?token=", "?ticket=&token=", "?Token=a"]) {
      assert.deepEqual(find(search, each as Record<string, string>), { kind: "missing" });
    }
  }
});

Deno.test("two credentials in one request are ambiguous, even when they are the same", () => {
  const ambiguous: [string, Record<string, string>][] = [
    ["?token=a&token=a", {}],
    ["?token=a&ticket=b", {}],
    ["?token=a", { authorization: "Bearer a" }],
    ["?token=a", { "sec-websocket-protocol": "pulsewire, bearer.a" }],
    ["?token=a", { "sec-websocket-protocol": "bearer.a" }],
    ["?ticket=b", { authorization: "Bearer a" }],
    ["", { authorization: "Bearer a", "sec-websocket-protocol": "pulsewire, bearer.a" }],
    ["", { authorization: "Bearer a, Bearer b" }],
    ["", { "sec-websocket-protocol": "pulsewire, bearer.a, bearer.b" }],
  ];
  for (const [search, headers] of ambiguous) {
    assert.deepEqual(find(search, headers), { kind: "ambiguous" }, `${search} ${headers}`);
  }
});

Deno.test("an empty credential beside a real one is none", () => {
  assert.deepEqual(
    find("?token=&ticket=", { authorization: "Bearer a" }),
    { kind: "token", token: "a", place: "header" },
  );
});

Deno.test("a bearer subprotocol without pulsewire beside it is told apart", () => {
  for (const offer of ["bearer.a", "Pulsewire, bearer.a", "pulsewire2, bearer.a"]) {
    assert.deepEqual(
      find("", { "sec-websocket-protocol": offer }),
      { kind: "subprotocol_missing" },
    );
  }
});

Deno.test("places that are not accepted are not looked at", () => {
  const headers = { authorization: "Bearer h", "sec-websocket-protocol": "bearer.p" };
  const query: readonly CredentialPlace[] = ["query"];
  assert.deepEqual(
    find("?token=q&ticket=t", headers, query),
    { kind: "token", token: "q", place: "query" },
  );
  assert.deepEqual(find("?ticket=t", headers, query), { kind: "missing" });
  assert.deepEqual(
    find("?token=q&ticket=t", headers, ["header"]),
    { kind: "token", token: "h", place: "header" },
  );
  assert.deepEqual(find("?token=q", {}, []), { kind: "missing" });
});

Deno.test("the subprotocol pulsewire is selected when offered, and nothing else ever is", () => {
  const select = (offer?: string) =>
    selectSubprotocol(new Headers(offer === undefined ? {} : { "sec-websocket-protocol": offer }));
  assert.equal(select("other,pulsewire , bearer.a"), "pulsewire");
  assert.equal(select("bearer.a, PULSEWIRE"), null);
  assert.equal(select(""), null);
  assert.equal(select(), null);
});
