# The service alone: no demo, no tests, no shell. While the deno engine is the only one, this image should not face the
# internet: that engine bounds no message and can't end a stuck peer. Put it on a private network; the service says the
# same when it starts.

FROM denoland/deno:2.9.6 AS build
ENV DENO_DIR=/deno-dir
WORKDIR /app
COPY deno.json deno.lock ./
# What only the demo and the tests import stays out; the rest is fetched here, checked against the lock file, and this
# layer is made again only when one of the two files changes.
RUN deno remove --lockfile-only @electric-sql/pglite @electric-sql/pglite-socket @sinonjs/fake-timers fast-check yaml
COPY main.ts ./
COPY src ./src
RUN deno cache --frozen main.ts && chmod -R a+rX /deno-dir /app

FROM denoland/deno:distroless-2.9.6
ENV DENO_DIR=/deno-dir \
    DENO_NO_UPDATE_CHECK=1 \
    HOST=0.0.0.0 \
    PORT=8000
WORKDIR /app
COPY --from=build /deno-dir /deno-dir
COPY --from=build /app /app
# The user "nonroot" of distroless images, by number, so that an orchestrator can see that it is not root.
USER 65532:65532
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["deno", "eval", "--no-config", "const r = await fetch(`http://127.0.0.1:${Deno.env.get('PORT') ?? 8000}/livez`); Deno.exit(r.ok ? 0 : 1)"]
# No shell in between: SIGTERM reaches the service, which closes its sockets with 1012 and leaves.
ENTRYPOINT ["deno", "run", "--cached-only", "--frozen", "--no-prompt", "--allow-net", "--allow-env=ALERT_TABLE,ALLOWED_ROLES,DATABASE_*,FUTURE_SECONDS,HOST,INFLUXDB_*,JWKS_URL,JWT_*,LOG_LEVEL,MAX_*,OIDC_ISSUER,PORT,TELEMETRY_*,TENANT_SETTING,WS_*", "--ignore-env=PG*", "--allow-read=src/dashboard,/run/secrets", "main.ts"]
