#!/bin/sh
# Makes the service's login when the database is first set up: it has no rights of its own and may only become
# pulse_app. It must never be made a superuser, an owner of the tables, or a role with BYPASSRLS.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=password="$PULSEWIRE_DB_PASSWORD" \
  --username="${POSTGRES_USER:-postgres}" --dbname="$POSTGRES_DB" <<'SQL'
CREATE ROLE pulsewire LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD :'password';
GRANT pulse_app TO pulsewire;
SQL
