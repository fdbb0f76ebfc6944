-- Row-level security: a transaction sees and writes the rows of the tenant it has named, and nothing
-- before it has named one. FORCE holds the tables' owner to it as well. Safe to run again.
--
-- A setting that was never set reads NULL, and '' once a SET LOCAL of an earlier transaction is over.
-- NULLIF turns both into NULL, which no tenant_id equals, not even an empty one. The sub-select is
-- evaluated once a query, not once a row. With another TENANT_SETTING, change the name here too.
--
-- The service has PostgreSQL show on each new connection, and behind each read, that all this holds for its
-- role; from a table where it does not it serves nothing and says in its log what is missing.
--
-- Writers are under the same policies. A backend's role that was granted INSERT and UPDATE (and USAGE
-- on fleet_alert_id_seq) writes the rows of one tenant in a transaction that names it:
--
--   BEGIN;
--   SELECT set_config('app.tenant_id', 'acme', true);
--   INSERT INTO fleet_alert (tenant_id, …) VALUES ('acme', …);
--   COMMIT;
--
-- A row of another tenant is refused by WITH CHECK. A backend that writes for all tenants at once
-- needs a role of its own with BYPASSRLS; the service must never be given that one.

ALTER TABLE fleet_alert ENABLE ROW LEVEL SECURITY;
ALTER TABLE fleet_alert FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS fleet_alert_tenant ON fleet_alert;
CREATE POLICY fleet_alert_tenant ON fleet_alert
  USING (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')));

ALTER TABLE telemetry ENABLE ROW LEVEL SECURITY;
ALTER TABLE telemetry FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS telemetry_tenant ON telemetry;
CREATE POLICY telemetry_tenant ON telemetry
  USING (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT NULLIF(current_setting('app.tenant_id', true), '')));
