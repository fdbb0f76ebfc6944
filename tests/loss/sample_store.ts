// A database that samples are written to and directly read from; it must never go through the service or its sources.
import type { NumberedSample } from "./numbered_sample.ts";

export const TENANT = "acme";

export interface SampleStore extends AsyncDisposable {
  /** Digits after the second that the database keeps. */
  readonly precision: 6 | 9;
  /** What the service needs to read from here. */
  readonly settings: Readonly<Record<string, string>>;
  /** The server, where the test may stop it; null where others use it too, or where it is the database of the alerts. */
  readonly server: StoppableServer | null;
  /** Resolves when the database has acknowledged all of them; the same ones may be written again. */
  write(samples: readonly NumberedSample[]): Promise<void>;
  /** Every sample there is. */
  readAll(): Promise<readonly NumberedSample[]>;
}

export interface StoppableServer {
  /** Ends it at once; what it acknowledged is kept. */
  kill(): Promise<void>;
  start(): Promise<void>;
}
