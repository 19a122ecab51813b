#!/usr/bin/env bash
# Run once, by PostgreSQL's image, when the cluster is new: the shop, and a role that may read it and do nothing else.
set -euo pipefail

ask() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

ask --file /demo/shop.sql
# psql reads the password itself: in an argument, every process of the container could see it.
ask <<'SQL'
\set password `cat /run/secrets/reader_password`
CREATE ROLE reader LOGIN PASSWORD :'password' CONNECTION LIMIT 40;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
SQL
