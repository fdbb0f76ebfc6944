// What one worker holds of what all share: its seats, its places of the refused, its part in the feeds. When the worker is
// gone all of it is given back at once.
import type { Back } from "../back.ts";
import type { TakenSeat } from "../limits/seats.ts";
import type { Answers } from "./link.ts";
import type { KeeperQuestions, PastOf } from "./questions.ts";
import type { Member } from "./shared_feeds.ts";

/** Questions about the whole service, which no worker's place can answer. */
export type StandingQuestions = Pick<
  KeeperQuestions,
  "tenantUsage" | "feedState" | "readiness" | "metricsText" | "alive" | "log"
>;

export interface WorkerPlaceOptions {
  readonly back: Omit<Back, "feeds">;
  readonly member: Member;
  readonly standing: Answers<StandingQuestions>;
}

export class WorkerPlace {
  readonly #options: WorkerPlaceOptions;
  readonly #seats = new Map<number, TakenSeat>();
  #lastSeat = 0;
  #refused = 0;
  #isVacated = false;

  constructor(options: WorkerPlaceOptions) {
    this.#options = options;
  }

  get answers(): Answers<KeeperQuestions> {
    const { back, member, standing } = this.#options;
    const { histories, reads, tickets } = back;
    return {
      ...standing,
      takeSeat: (address) => this.#takeSeat(address),
      claimSeat: async ({ seat, scope }) => await this.#seat(seat).claim(scope),
      leaveSeat: (seat) => {
        this.#seat(seat).leave();
        this.#seats.delete(seat);
      },
      seatsTaken: (scope) => back.seats.takenFor(scope),
      enterRefused: () => this.#enterRefused(),
      leaveRefused: () => {
        this.#refused--;
        back.refusals.leave();
      },
      issueTicket: (scope) => tickets.issue(Object.freeze(scope)),
      redeemTicket: (ticket) => tickets.redeem(ticket),
      rateHandshake: (address) => back.handshakes.take(address),
      rateRequest: (tenantId) => back.requests.take(tenantId),
      changeInterest: (change) => member.change(change),
      pageOfPast: async (past, signal) => [...await histories.page(questionOf(past, signal))],
      earliestOfPast: async (past, signal) => [
        ...await histories.earliest(questionOf(past, signal)),
      ],
      pastAlerts: (question, signal) => histories.alerts({ ...question, signal }),
      listDevices: (tenantId, signal) => back.listDevices(tenantId, signal),
      refreshKeys: async () => {
        await back.keySet?.current();
        return null;
      },
      newerKeys: async (number) => {
        await back.keySet?.after(number);
        return null;
      },
      sourceStates: () => reads.states(),
      readDevices: (query, signal) => reads.devices({ ...query, signal }),
      readLatest: (query, signal) => reads.latest({ ...query, signal }),
      readSamples: (query, signal) => reads.samples({ ...query, signal }),
      readAlerts: (query, signal) => reads.alerts({ ...query, signal }),
    };
  }

  /** Gives everything back; later calls do nothing. */
  vacate(): void {
    if (this.#isVacated) return;
    this.#isVacated = true;
    const { back, member } = this.#options;
    for (const seat of this.#seats.values()) seat.leave();
    this.#seats.clear();
    for (; this.#refused > 0; this.#refused--) back.refusals.leave();
    member.leave();
  }

  async #takeSeat(address: string) {
    const taken = await this.#options.back.seats.take(address);
    if (typeof taken === "string") return taken;
    if (this.#isVacated) taken.leave();
    const seat = ++this.#lastSeat;
    this.#seats.set(seat, taken);
    return seat;
  }

  async #enterRefused(): Promise<boolean> {
    const isIn = await this.#options.back.refusals.enter();
    if (isIn && this.#isVacated) this.#options.back.refusals.leave();
    else if (isIn) this.#refused++;
    return isIn;
  }

  #seat(seat: number): TakenSeat {
    const taken = this.#seats.get(seat);
    if (taken === undefined) throw new RangeError(`Seat ${seat} is not taken`);
    return taken;
  }
}

function questionOf({ after, ...past }: PastOf, signal: AbortSignal) {
  return { ...past, after: new Map(after), signal };
}
