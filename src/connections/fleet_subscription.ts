// One connection's subscription to its tenant's fleet: told when a count changed, and never otherwise.
import type { Progress } from "./progress.ts";
import type { Offering, Push } from "./push.ts";
import type { TenantGroup } from "./tenant_group.ts";

export class FleetSubscription implements Progress, Offering {
  readonly #group: TenantGroup;
  seq: number;
  isOwed: boolean;
  #offeredSeq = 0;
  #sentVersion: number | null = null;
  #offeredVersion: number | null = null;

  constructor(group: TenantGroup, { seq, isOwed }: Progress) {
    this.#group = group;
    this.seq = seq;
    this.isOwed = isOwed;
  }

  collect(push: Push): void {
    const { fleet } = this.#group;
    if (fleet === null || fleet.seq <= this.seq) {
      push.isOwed ||= this.isOwed;
      return;
    }
    this.#offeredSeq = fleet.seq;
    this.#offeredVersion = this.#sentVersion;
    push.offerings.push(this);
    if (fleet.version === this.#sentVersion || fleet.deliveredAt <= push.oldest) return;
    this.#offeredVersion = fleet.version;
    push.add(fleet.frame, fleet.readAt);
  }

  sent(): void {
    this.seq = this.#offeredSeq;
    this.isOwed = false;
    this.#sentVersion = this.#offeredVersion;
  }
}
