// Headers as the `ws` engine shows them to the door: none of two that came under one name is lost.
import assert from "node:assert/strict";
import { RawHeaders } from "../../src/sockets/raw_headers.ts";

Deno.test("A header is found whatever the case of its name, and null where there is none", () => {
  const headers = new RawHeaders(["X-Thing", "Yes", "Empty", ""]);
  for (const name of ["x-thing", "X-THING", "X-Thing"]) assert.equal(headers.get(name), "Yes");
  assert.equal(headers.get("empty"), "");
  assert.equal(headers.get("other"), null);
});

Deno.test("Headers of one name are joined in their order, as the platform's own headers join them", () => {
  const raw = ["Authorization", "Bearer a", "Host", "x", "authorization", "Bearer b", "Host", "y"];
  const headers = new RawHeaders(raw);
  const own = new Headers();
  for (let nth = 0; nth < raw.length; nth += 2) own.append(raw[nth]!, raw[nth + 1]!);
  for (const name of ["authorization", "host"]) assert.equal(headers.get(name), own.get(name));
  assert.equal(headers.get("authorization"), "Bearer a, Bearer b");
});

Deno.test("A header may be called what objects have from birth", () => {
  assert.equal(new RawHeaders([]).get("constructor"), null);
  assert.equal(new RawHeaders(["__proto__", "x"]).get("__proto__"), "x");
});
