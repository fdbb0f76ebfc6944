-- Optional, for ALERT_NOTIFY_CHANNEL=fleet_alert: tells the service at once whose alerts changed, so that they are
-- pushed without waiting for the next interval. Without it nothing is lost, only later. Safe to run again; run by
-- the table's owner. PostgreSQL 11 or later.
--
-- Each statement notifies once for each tenant whose rows it touched, and both tenants where an update moves a
-- row from one to another. The payload is the tenant's id and nothing else: whoever can connect to the database
-- can LISTEN, and NOTIFY, too. The service takes a payload for a hint, and reads under the policies as ever.
-- TRUNCATE tells nothing, nor do rows of a tenant whose id no token could hold.
--
-- What it costs: NOTIFY is not free for writers.
--
--   - A transaction that has notified takes, as it commits, a lock of which the whole server has only one, and
--     holds it until the commit is on disk, and on a synchronous standby. So such transactions commit one after
--     the other, whatever they wrote and to whatever database of the server: at most a thousand a second where
--     a commit takes a millisecond. Transactions that don't notify never wait for it.
--   - Waiting for it shows as "AccessExclusiveLock on object 0 of class 1262 of database 0" (log_lock_waits).
--   - Within a transaction the same payload is sent once, however many statements gave it: writing many alerts
--     in one transaction costs one such commit.
--   - What a listener has not taken yet waits in a queue of 8 GB. The service takes everything as it comes;
--     another listener that stays inside a transaction can fill the queue, and then commits that notify fail.
--   - A transaction that has notified can't be prepared for two-phase commit.
--
-- So it suits alerts that some transactions a second write. Where thousands do, leave this file out, or call
-- pg_notify from one place that gathers. To take it away: DROP FUNCTION fleet_alert_notify() CASCADE.
--
-- With another ALERT_TABLE, change the table's name below; the channel's is free.

-- With the rights of whoever writes, and needs none but theirs: everybody may notify. A write must not fail for
-- want of a listener, for what a tenant is called or for the type of its id, so that only ids that the service
-- would take are sent, as text.
CREATE OR REPLACE FUNCTION fleet_alert_notify() RETURNS trigger LANGUAGE plpgsql SECURITY INVOKER AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    PERFORM pg_catalog.pg_notify('fleet_alert', tenant_id)
    FROM (SELECT tenant_id::text FROM old_alert UNION SELECT tenant_id::text FROM new_alert) AS touched
    WHERE tenant_id ~ '^[A-Za-z0-9_-]{1,64}$';
  ELSE
    PERFORM pg_catalog.pg_notify('fleet_alert', tenant_id)
    FROM (SELECT DISTINCT tenant_id::text FROM changed_alert) AS touched
    WHERE tenant_id ~ '^[A-Za-z0-9_-]{1,64}$';
  END IF;
  RETURN NULL;
END
$$;

-- Three, because a trigger with transition tables has one event.
DROP TRIGGER IF EXISTS fleet_alert_notify_insert ON fleet_alert;
CREATE TRIGGER fleet_alert_notify_insert AFTER INSERT ON fleet_alert
  REFERENCING NEW TABLE AS changed_alert
  FOR EACH STATEMENT EXECUTE FUNCTION fleet_alert_notify();

DROP TRIGGER IF EXISTS fleet_alert_notify_update ON fleet_alert;
CREATE TRIGGER fleet_alert_notify_update AFTER UPDATE ON fleet_alert
  REFERENCING OLD TABLE AS old_alert NEW TABLE AS new_alert
  FOR EACH STATEMENT EXECUTE FUNCTION fleet_alert_notify();

DROP TRIGGER IF EXISTS fleet_alert_notify_delete ON fleet_alert;
CREATE TRIGGER fleet_alert_notify_delete AFTER DELETE ON fleet_alert
  REFERENCING OLD TABLE AS changed_alert
  FOR EACH STATEMENT EXECUTE FUNCTION fleet_alert_notify();
