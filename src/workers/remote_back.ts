// What stands behind a worker's connections, asked of the keeper, who has it once for all workers. It counts nothing and
// reads nothing itself.
import type { Back } from "../back.ts";
import type { KeySet } from "../auth/key_set.ts";
import type { Scope } from "../auth/scope.ts";
import type { HistoryQuestion } from "../feed/seam.ts";
import type { Feeds } from "../feed/feed_registry.ts";
import type { TakenSeat } from "../limits/seats.ts";
import type { Link } from "./link.ts";
import type { KeeperQuestions, PastOf } from "./questions.ts";

/** The part of a link that asks. */
export type AsksKeeper = Pick<Link<KeeperQuestions, never>, "ask" | "tell">;

export function remoteBack(
  keeper: AsksKeeper,
  { feeds, keySet }: { readonly feeds: Feeds; readonly keySet: KeySet },
): Back {
  return {
    feeds,
    keySet,
    histories: {
      async page({ signal, ...question }) {
        return new Map(await keeper.ask("pageOfPast", pastOf(question), signal));
      },
      async earliest({ signal, ...question }) {
        return new Map(await keeper.ask("earliestOfPast", pastOf(question), signal));
      },
      alerts: ({ signal, tenantId, since }) =>
        keeper.ask("pastAlerts", { tenantId, since }, signal),
    },
    listDevices: (tenantId, signal) => keeper.ask("listDevices", tenantId, signal),
    reads: {
      states: () => keeper.ask("sourceStates", null),
      devices: ({ signal, ...query }) => keeper.ask("readDevices", query, signal),
      latest: ({ signal, ...query }) => keeper.ask("readLatest", query, signal),
      samples: ({ signal, ...query }) => keeper.ask("readSamples", query, signal),
      alerts: ({ signal, ...query }) => keeper.ask("readAlerts", query, signal),
    },
    seats: {
      async take(address) {
        const taken = await keeper.ask("takeSeat", address);
        return typeof taken === "number" ? remoteSeat(keeper, taken) : taken;
      },
      takenFor: (scope) => keeper.ask("seatsTaken", scope),
    },
    refusals: {
      enter: () => keeper.ask("enterRefused", null),
      leave: () => keeper.tell("leaveRefused", null),
    },
    tickets: {
      issue: (scope) => keeper.ask("issueTicket", scope),
      async redeem(ticket) {
        const scope = await keeper.ask("redeemTicket", ticket);
        return scope === null ? null : Object.freeze(scope);
      },
    },
    handshakes: { take: (address) => keeper.ask("rateHandshake", address) },
    requests: { take: (tenantId) => keeper.ask("rateRequest", tenantId) },
  };
}

function remoteSeat(keeper: AsksKeeper, seat: number): TakenSeat {
  let isLeft = false;
  return {
    claim: (scope: Scope) => keeper.ask("claimSeat", { seat, scope }),
    leave() {
      if (isLeft) return;
      isLeft = true;
      keeper.tell("leaveSeat", seat);
    },
  };
}

function pastOf({ after, ...question }: Omit<HistoryQuestion, "signal">): PastOf {
  return { ...question, after: [...after] };
}
