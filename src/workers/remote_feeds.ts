// The feeds as a worker's connections see them, while another thread has them: interest goes out, snapshots come in.
import type { Feeds } from "../feed/feed_registry.ts";
import { Interest } from "../feed/interest.ts";
import type { InterestChange, Snapshot } from "../feed/seam.ts";
import type { SnapshotParcel } from "./snapshot_parcel.ts";
import { SnapshotUnpacker } from "./snapshot_unpacker.ts";

interface Tenant {
  /** The number of the change with which its first connection came. */
  readonly began: number;
  readonly interest: Interest;
  readonly unpacker: SnapshotUnpacker;
}

export class RemoteFeeds implements Feeds {
  readonly #tell: (change: InterestChange) => void;
  readonly #tenants = new Map<string, Tenant>();
  #lastChange = 0;
  #listener: (snapshot: Snapshot) => void = () => {};

  constructor(tell: (change: InterestChange) => void) {
    this.#tell = tell;
  }

  change(change: InterestChange): void {
    const { tenantId } = change;
    const number = this.#lastChange + 1;
    let tenant = this.#tenants.get(tenantId);
    if (tenant === undefined) {
      const interest = new Interest();
      tenant = { began: number, interest, unpacker: new SnapshotUnpacker(interest) };
    }
    // First here: a fault of the caller must not reach those who are in step.
    tenant.interest.apply(change);
    this.#lastChange = number;
    const numbered = { ...change, number };
    tenant.unpacker.note(numbered);
    if (tenant.interest.connections > 0) this.#tenants.set(tenantId, tenant);
    else this.#tenants.delete(tenantId);
    this.#tell(numbered);
  }

  listen(listener: (snapshot: Snapshot) => void): void {
    this.#listener = listener;
  }

  take(parcel: SnapshotParcel): void {
    const tenant = this.#tenants.get(parcel.tenantId);
    // What those were told who have all left may be of a feed that has ended, whose reads were numbered higher.
    if (tenant === undefined || parcel.heard < tenant.began) return;
    this.#listener(tenant.unpacker.unpack(parcel));
  }
}
