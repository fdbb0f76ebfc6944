// Holds the reader of PostgreSQL URLs to what it accepts, and its errors to silence about the password.
import assert from "node:assert/strict";
import { parseServerAddress } from "../../../src/sources/postgres/server_address.ts";

Deno.test("A PostgreSQL URL is read with its percent-encoded parts and its defaults", () => {
  assert.deepEqual(
    parseServerAddress("postgresql://us%40er:p%2Fw%20d@db.example/da%20ta?sslmode=require"),
    {
      host: "db.example",
      port: 5432,
      user: "us@er",
      password: "p/w d",
      database: "da ta",
      tlsMode: "require",
      applicationName: "pulsewire",
    },
  );
  const bare = parseServerAddress("postgres://me@[::1]:6543?application_name=edge");
  assert.deepEqual([bare.host, bare.port, bare.database], ["::1", 6543, "me"]);
  assert.deepEqual([bare.password, bare.tlsMode, bare.applicationName], ["", "disable", "edge"]);
});

Deno.test("A URL that can't be meant is refused without a word of its secret", () => {
  const bad = [
    "",
    "secret",
    "mysql://u:secret@h/d",
    "postgres://:secret@h/d",
    "postgres:///d?password=secret",
    "postgres://u:secret@a:1,b:2/d",
    "postgres://u:secret@a,b/d",
    "postgres://u:secret%zz@h/d",
    "postgres://u:secret@h/d?sslmode=maybe",
    "postgres://u:secret@h/d?options=-c%20role%3Dpostgres",
  ];
  for (const url of bad) {
    assert.throws(
      () => parseServerAddress(url),
      (error) => error instanceof TypeError && !error.message.includes("secret"),
      url,
    );
  }
});
