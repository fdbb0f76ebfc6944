# The service alone: no demo, no tests, no shell. With WS_ENGINE=deno it must not face the internet: that engine bounds
# no message and can't end a stuck peer. The service says the same when it starts.

FROM denoland/deno:2.9.6 AS build
ENV DENO_DIR=/deno-dir
WORKDIR /app
COPY deno.json deno.lock ./
# What only the demo and the tests import stays out; the rest is fetched here, checked against the lock file, and this
# layer is made again only when one of the two files changes.
RUN deno remove --lockfile-only @apidevtools/swagger-parser @asyncapi/parser @electric-sql/pglite @electric-sql/pglite-socket @preact/signals @prometheus-io/lezer-promql @sinonjs/fake-timers ajv ajv-formats axe-core dockerfile-ast esbuild fast-check playwright-core preact typescript uplot yaml
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
# Asks itself on loopback, where no certificate can be right.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["deno", "eval", "--no-config", "--unsafely-ignore-certificate-errors=127.0.0.1", "const { env } = Deno; const tls = env.get('TLS_CERT') || env.get('TLS_CERT_FILE'); const r = await fetch(`http${tls ? 's' : ''}://127.0.0.1:${env.get('PORT') || 8000}/livez`); Deno.exit(r.ok ? 0 : 1)"]
# No shell in between: SIGTERM reaches the service, which closes its sockets with 1012 and leaves within DRAIN_SECONDS.
# Who stops the container must wait for longer than that. The young part of the runtime's heap is bounded as in deno.json:
# by default it takes as much memory as some thousand sockets.
ENTRYPOINT ["deno", "run", "--cached-only", "--frozen", "--v8-flags=--max-semi-space-size=8", "--no-prompt", "--allow-net", "--allow-env=ALERT_*,ALLOW_*,ALLOWED_*,DATABASE_*,DRAIN_SECONDS,FUTURE_SECONDS,HANDSHAKE_TIMEOUT_SECONDS,HOST,INFLUXDB_*,JWKS_URL,JWT_*,LATE_SECONDS,LOG_LEVEL,MAX_*,METRICS_*,OIDC_*,PING_SECONDS,PORT,PULSEWIRE_TOKEN,READ_TIMEOUT_SECONDS,SLOW_CLIENT_SECONDS,SOCKET_HIGH_WATER_BYTES,STALE_SECONDS,TELEMETRY_*,TENANT_SETTING,TLS_*,TRUSTED_PROXIES,WORKERS,WS_*", "--ignore-env=PG*", "--allow-read=deno.json,src,/run/secrets", "main.ts"]
