// What `ws` ends more than once must end as any stream does.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Writable } from "node:stream";
import { endOnce } from "../../src/sockets/end_once.ts";

class Kept extends Writable {
  readonly chunks: string[] = [];
  ends = 0;

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.chunks.push(String(chunk));
    done();
  }

  // deno-lint-ignore no-explicit-any
  override end(...given: any[]): this {
    this.ends++;
    return super.end(...given);
  }
}

const finished = (stream: Writable) => new Promise((resolve) => stream.once("finish", resolve));

Deno.test("A stream ends with what it was given last", async () => {
  const stream = endOnce(new Kept());
  const end = finished(stream);
  stream.write("a");
  assert.equal(stream.end("b"), stream);
  await end;
  assert.deepEqual(stream.chunks, ["a", "b"]);
});

Deno.test("A stream that has finished is not ended again", async () => {
  const stream = endOnce(new Kept());
  const end = finished(stream);
  stream.end();
  await end;
  assert.equal(stream.end(), stream);
  assert.equal(stream.ends, 1);
});

Deno.test("Who gives a finished stream something more is not passed over", async () => {
  const stream = endOnce(new Kept());
  const end = finished(stream);
  stream.end();
  await end;
  const fault = await new Promise((resolve) => stream.end("late", resolve));
  assert.ok(fault instanceof Error);
  assert.deepEqual(stream.chunks, []);
});
