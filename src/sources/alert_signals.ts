// The port to whoever tells of alerts at once. It brings hints and never alerts: what a tenant sees is read under its
// policies, and whoever misses a hint sees it an interval later.

export interface AlertListener {
  /** Alerts of the tenant may have changed. The id has the form of one; whether there is such a tenant is not known. */
  notified(tenantId: string): void;
  /** Hearing began again after it had failed: whatever happened in between, to whatever tenant, was not told. */
  missed(): void;
}

export interface AlertSignals extends AsyncDisposable {
  /** Whether it hears at present. */
  readonly isHearing: boolean;
  /** Begins to hear, in the background and until disposed. Throws Error when called again. */
  listen(listener: AlertListener): void;
}
