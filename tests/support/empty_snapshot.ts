// A tick that has nothing in it, for tests that put in what they are about.
import type { Snapshot } from "../../src/feed/seam.ts";

export const EMPTY_SNAPSHOT: Snapshot = Object.freeze({
  tenantId: "acme",
  cause: "tick",
  devices: [],
  batches: [],
  alerts: null,
  fleet: null,
  allReadAt: null,
  statuses: [],
});
