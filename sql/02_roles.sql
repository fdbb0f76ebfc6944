-- The role that reads are made under: it can't log in, and may only look at the two tables.
-- Run by the tables' owner or a superuser; safe to run again.
--
-- The service's own login has no rights at all, not even pulse_app's, until it becomes pulse_app inside
-- a transaction (DATABASE_ROLE). NOINHERIT has to stand before the grant:
--
--   CREATE ROLE pulsewire LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS PASSWORD '…';
--   GRANT pulse_app TO pulsewire;
--
-- A role that owns the tables, is a superuser or has BYPASSRLS must never be behind DATABASE_URL.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pulse_app') THEN
    CREATE ROLE pulse_app NOLOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
  END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO pulse_app', current_schema());
END
$$;

GRANT SELECT ON fleet_alert, telemetry TO pulse_app;
