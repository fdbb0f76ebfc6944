// Tickets: good once, for a short while, and never for longer than the token that they stand for.
import assert from "node:assert/strict";
import { Tickets } from "../../src/auth/tickets.ts";
import { SCOPE } from "../http/door_fixture.ts";
import { fakeClock } from "../support/fake_clock.ts";

function openTickets(maxTickets = 5) {
  const clock = fakeClock();
  return { clock, tickets: new Tickets({ lifetimeMs: 30_000, maxTickets, clock }) };
}

Deno.test("A ticket gives its scope once and is useless twice", () => {
  const { tickets } = openTickets();
  const ticket = tickets.issue(SCOPE);
  assert.equal(tickets.redeem(ticket), SCOPE);
  assert.equal(tickets.redeem(ticket), null);
  assert.equal(tickets.size, 0);
});

Deno.test("A ticket is good for its lifetime, and not after", async () => {
  const { tickets, clock } = openTickets();
  const [one, other] = [tickets.issue(SCOPE), tickets.issue(SCOPE)];
  await clock.advance(29_999);
  assert.equal(tickets.redeem(one), SCOPE);
  await clock.advance(1);
  assert.equal(tickets.redeem(other), null);
  assert.equal(tickets.size, 0, "also a useless one is spent");
});

Deno.test("A ticket ends with the token that it stands for", async () => {
  const { tickets, clock } = openTickets();
  const ticket = tickets.issue({ ...SCOPE, expiresAt: clock.now() + 1_000 });
  await clock.advance(1_000);
  assert.equal(tickets.redeem(ticket), null);
});

Deno.test("A clock that is set back makes no ticket last longer", () => {
  const clock = fakeClock();
  let monotonic = 0;
  const tickets = new Tickets({
    lifetimeMs: 30_000,
    maxTickets: 5,
    clock: { ...clock, now: () => 0, monotonicNow: () => monotonic },
  });
  const ticket = tickets.issue(SCOPE);
  monotonic = 30_000;
  assert.equal(tickets.redeem(ticket), null);
});

Deno.test("Tickets that nobody redeems fill no memory: the oldest goes first, the expired at once", async () => {
  const { tickets, clock } = openTickets(3);
  const issued = [1, 2, 3, 4].map(() => tickets.issue(SCOPE));
  assert.equal(tickets.size, 3);
  assert.equal(tickets.redeem(issued[0] ?? ""), null);
  assert.equal(tickets.redeem(issued[1] ?? ""), SCOPE);
  await clock.advance(30_000);
  tickets.issue(SCOPE);
  assert.equal(tickets.size, 1);
});

Deno.test("A tenant that asks on and on makes its own tickets void, and none of others", () => {
  const { tickets } = openTickets(5);
  const of = (tenantId: string) => tickets.issue({ ...SCOPE, tenantId });
  const first = of("acme");
  const greedy = Array.from({ length: 9 }, () => of("globex"));
  // Nor does the one that asks next, with tickets of its own or without.
  const others = [of("acme"), of("initech")];
  assert.equal(tickets.size, 5);
  assert.equal(tickets.redeem(first)?.tenantId, "acme");
  assert.deepEqual(others.map((ticket) => tickets.redeem(ticket)?.tenantId), ["acme", "initech"]);
  const left = greedy.map((ticket) => tickets.redeem(ticket) !== null);
  assert.deepEqual(left, greedy.map((_, index) => index >= 7));
  assert.equal(tickets.size, 0);
});

Deno.test("A ticket can't be guessed and stands in a URL as it is", () => {
  const { tickets } = openTickets(1_000);
  const issued = Array.from({ length: 500 }, () => tickets.issue(SCOPE));
  assert.equal(new Set(issued).size, 500);
  for (const ticket of issued) assert.match(ticket, /^[A-Za-z0-9_-]{43}$/);
});

Deno.test("A ticket of another process is worth nothing here", () => {
  assert.equal(openTickets().tickets.redeem(openTickets().tickets.issue(SCOPE)), null);
});
