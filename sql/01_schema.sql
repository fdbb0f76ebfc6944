-- The two tables that Pulsewire reads. It only ever reads them: alerts and samples are written by the
-- platform's own backend. Safe to run again.

CREATE TABLE IF NOT EXISTS fleet_alert (
  id          bigserial PRIMARY KEY,
  created_at  timestamptz NOT NULL DEFAULT now(),
  closed_at   timestamptz,
  tenant_id   text NOT NULL,
  site_id     text,
  device_id   text,
  alert_type  text,
  fingerprint text,
  status      text NOT NULL DEFAULT 'OPEN',
  severity    int,
  confidence  real,
  summary     text,
  details     jsonb
);

-- The read of every tick: a tenant's open alerts, newest first.
CREATE INDEX IF NOT EXISTS fleet_alert_open
  ON fleet_alert (tenant_id, created_at DESC, id DESC)
  WHERE status = 'OPEN' AND closed_at IS NULL;

-- What opened or closed since a moment, whatever became of it.
CREATE INDEX IF NOT EXISTS fleet_alert_created ON fleet_alert (tenant_id, created_at);
CREATE INDEX IF NOT EXISTS fleet_alert_closed ON fleet_alert (tenant_id, closed_at)
  WHERE closed_at IS NOT NULL;

-- Only for TELEMETRY_SOURCE=postgres. `metrics` is one JSON object: a sample with every metric it holds.
CREATE TABLE IF NOT EXISTS telemetry (
  tenant_id text NOT NULL,
  device_id text NOT NULL,
  site_id   text,
  time      timestamptz NOT NULL,
  metrics   jsonb NOT NULL
);

-- A device has one sample at an instant: write with ON CONFLICT (tenant_id, device_id, time) DO UPDATE,
-- or DO NOTHING. The newest sample of a device is the first entry under its prefix. `time` is part of
-- the key, so that the table can be a TimescaleDB hypertable: SELECT create_hypertable('telemetry', 'time').
CREATE UNIQUE INDEX IF NOT EXISTS telemetry_newest
  ON telemetry (tenant_id, device_id, time DESC);
