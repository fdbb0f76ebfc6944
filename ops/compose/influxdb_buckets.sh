#!/bin/sh
# Makes the buckets of the tenants that come after the first one, which the image's own set-up makes.
set -eu
for bucket in $TENANT_BUCKETS; do
  influx bucket create --org "$DOCKER_INFLUXDB_INIT_ORG" --name "$bucket"
done
