// Seats: whatever happens to a handshake and in whatever order, those taken are those pending and open.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { AuthError } from "../../src/auth/auth_error.ts";
import type { Scope } from "../../src/auth/scope.ts";
import { LimitLedger } from "../../src/limits/limits.ts";
import { Seats } from "../../src/limits/seats.ts";
import type { Admission, SocketEvents } from "../../src/sockets/socket.ts";
import { defaultLimits, scopeOf } from "../connections/connections_fixture.ts";
import { FakeSocket } from "../connections/fake_socket.ts";
import { openDoor, SCOPE } from "../http/door_fixture.ts";

Deno.test("A seat is counted for its address, tenant and user, and given back once", () => {
  const seats = new Seats(new LimitLedger(defaultLimits()));
  const seat = seats.take("192.0.2.1");
  assert(typeof seat !== "string");
  assert.equal(seat.claim(SCOPE), null);
  const taken = () => [
    seats.taken,
    seats.takenBy("connections_per_address", "192.0.2.1"),
    seats.takenBy("connections_per_tenant", "acme"),
    seats.takenBy("connections_per_user", JSON.stringify(["acme", "user-1"])),
  ];
  assert.deepEqual(taken(), [1, 1, 1, 1]);
  seat.leave();
  seat.leave();
  assert.deepEqual(taken(), [0, 0, 0, 0]);
});

Deno.test("Who is refused for one count takes no place in another, and gives none back", () => {
  for (const limit of ["connections_per_tenant", "connections_per_user"] as const) {
    const seats = new Seats(new LimitLedger({ ...defaultLimits(), [limit]: 1 }));
    const scope = scopeOf("acme");
    const knock = () => {
      const seat = seats.take("192.0.2.1");
      assert(typeof seat === "object");
      return seat;
    };
    const taken = { connections_per_tenant: 1, connections_per_user: 1 };
    assert.equal(knock().claim(scope), null);
    const refused = knock();
    assert.equal(refused.claim(scope), limit);
    assert.deepEqual(seats.takenFor(scope), taken);
    refused.leave();
    assert.deepEqual(seats.takenFor(scope), taken);
  }
});

Deno.test("Ids that contain what could join them don't share a count", () => {
  const seats = new Seats(new LimitLedger({ ...defaultLimits(), connections_per_user: 1 }));
  for (const userId of ["a", 'a","b', "", "a b"]) {
    const seat = seats.take("192.0.2.1");
    assert(typeof seat !== "string");
    assert.equal(seat.claim({ ...SCOPE, userId }), null);
  }
});

interface Step {
  readonly act: "knock" | "verify" | "fail" | "refuse" | "open" | "abandon" | "close" | "drain";
  readonly who: number;
  readonly tenant: number;
  readonly fault: boolean;
}

const steps = fc.array(
  fc.record({
    act: fc.constantFrom<Step["act"]>(
      ...["knock", "knock", "knock", "verify", "verify", "verify", "open", "open"] as const,
      ...["fail", "refuse", "abandon", "close", "close", "drain"] as const,
    ),
    who: fc.nat(1_000),
    tenant: fc.nat(2),
    fault: fc.boolean(),
  }),
  { maxLength: 60, size: "max" },
);

interface Guest {
  readonly address: string;
  readonly verdict: PromiseWithResolvers<Scope>;
  admission: Admission | null;
  events: SocketEvents | null;
}

Deno.test("No order of refusals, faults, departures and drains leaks a seat or a refused place", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      let next: PromiseWithResolvers<Scope> | null = null;
      let breaks = false;
      const { door, seats, knock } = openDoor({
        limits: {
          connections: 8,
          connections_per_address: 4,
          connections_per_tenant: 3,
          connections_per_user: 2,
          refused_sockets: 2,
          handshakes_per_second: 1_000,
        },
        verify: () => next?.promise ?? Promise.reject(new TypeError("nobody asked")),
        enter: () => {
          if (breaks) throw new TypeError("broken");
          return { text() {}, binary() {}, closed() {} };
        },
      });
      /** Who holds a place: being verified, admitted, or open. */
      let guests: Guest[] = [];
      const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
      const leave = (guest: Guest) => guests = guests.filter((other) => other !== guest);
      for (const { act, who, tenant, fault } of taken) {
        const address = `192.0.2.${who % 3}`;
        const pick = (fits: (guest: Guest) => boolean) => {
          const fitting = guests.filter(fits);
          return fitting[who % Math.max(1, fitting.length)];
        };
        const pending = pick(({ admission }) => admission === null);
        const admitted = pick(({ admission, events }) => admission !== null && events === null);
        const opened = pick(({ events }) => events !== null);
        switch (act) {
          case "knock": {
            const guest: Guest = {
              address,
              verdict: Promise.withResolvers<Scope>(),
              admission: null,
              events: null,
            };
            guests.push(guest);
            next = guest.verdict;
            knock(undefined, { address }).then((admission) => {
              if (admission.kind === "respond") leave(guest);
              else guest.admission = admission;
            }, () => leave(guest));
            break;
          }
          case "verify":
            pending?.verdict.resolve({
              ...SCOPE,
              tenantId: `tenant-${tenant}`,
              userId: `user-${who % 2}`,
            });
            break;
          case "refuse":
            pending?.verdict.reject(new AuthError("invalid_token", "Bad"));
            break;
          case "fail":
            pending?.verdict.reject(new TypeError("broken"));
            break;
          case "open":
            if (admitted?.admission?.kind !== "upgrade") break;
            breaks = fault;
            try {
              admitted.events = admitted.admission.opened(new FakeSocket());
            } catch {
              leave(admitted);
            }
            break;
          case "abandon":
            if (admitted?.admission?.kind !== "upgrade") break;
            admitted.admission.abandoned();
            if (fault) admitted.admission.abandoned();
            leave(admitted);
            break;
          case "close":
            opened?.events?.closed(1000);
            if (opened !== undefined) leave(opened);
            break;
          case "drain":
            if (who % 10 === 0) door.shut();
        }
        await settled();
        assert.equal(seats.taken, guests.length, `after ${act}`);
        for (const one of ["192.0.2.0", "192.0.2.1", "192.0.2.2"]) {
          const held = guests.filter((guest) => guest.address === one).length;
          assert.equal(seats.takenBy("connections_per_address", one), held);
        }
        assert(door.refusedSockets <= 2);
      }
      for (const guest of guests) guest.verdict.reject(new AuthError("invalid_token", "Bad"));
      await settled();
      for (const { admission, events } of guests) {
        if (events !== null) events.closed(1001);
        else if (admission?.kind === "upgrade") admission.abandoned();
      }
      assert.equal(seats.taken, 0);
      assert.equal(door.refusedSockets, 0);
      for (let tenant = 0; tenant < 3; tenant++) {
        assert.equal(seats.takenBy("connections_per_tenant", `tenant-${tenant}`), 0);
      }
    }),
    { numRuns: 40 },
  );
});
