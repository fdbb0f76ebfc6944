// Holds what orchestrators are given to the code: probes, grace, permissions, settings. It parses and starts nothing.
import assert from "node:assert/strict";
import { parse, parseAllDocuments } from "yaml";
import { readConfig, SETTING_NAMES } from "../../src/config.ts";
import { LIMITS } from "../../src/limits/limits.ts";
import { findProgram, readExample } from "./example_file.ts";

// deno-lint-ignore no-explicit-any
type Document = Record<string, any>;

const manifest = JSON.parse(readExample("deno.json"));
const documents = new Map<string, Document>(
  parseAllDocuments(readExample("ops/kubernetes/pulsewire.yaml")).map((document) => {
    assert.deepEqual(document.errors, []);
    const value = document.toJS() as Document;
    return [value.kind, value];
  }),
);
const pod = documents.get("Deployment")?.spec.template.spec as Document;
const container = pod.containers[0] as Document;

/** Settings of the manifests, with files that can be read. */
function kubernetesSettings(): Map<string, string> {
  const fromMap = Object.entries(documents.get("ConfigMap")?.data as Record<string, string>);
  const own = (container.env as { name: string; value: string }[]).map(
    ({ name, value }) => [name, value] as const,
  );
  return new Map([...fromMap, ...own]);
}

const SECRET_FILES: Readonly<Record<string, string>> = {
  database_url: "postgres://pulsewire:secret@db/pulsewire",
  influxdb_token: "secret",
};

Deno.test("Kubernetes' manifests set only settings that exist, and they can be used", () => {
  const values = kubernetesSettings();
  for (const [name, value] of values) {
    assert.ok(SETTING_NAMES.includes(name), `${name} is no setting`);
    assert.equal(typeof value, "string", `${name} must be quoted`);
  }
  const config = readConfig({
    get: (name) => values.get(name),
    readFile: (path) => SECRET_FILES[path.split("/").at(-1) ?? ""] ?? assert.fail(path),
  });
  assert.equal(config.INFLUXDB_TOKEN, "secret");
});

Deno.test("Kubernetes' manifests mount secrets where the service may read, and hold none", () => {
  const [mount] = container.volumeMounts;
  assert.match(mount.mountPath, /^\/run\/secrets\//);
  const [entry = "[]"] = /^ENTRYPOINT (.*)$/m.exec(readExample("Dockerfile"))?.slice(1) ?? [];
  assert.match(entry, /--allow-read=[^"]*\/run\/secrets/);
  for (const [name, value] of kubernetesSettings()) {
    if (name.endsWith("_FILE")) assert.ok(value.startsWith(`${mount.mountPath}/`), name);
    assert.ok(!["JWT_SECRET", "DATABASE_URL", "INFLUXDB_TOKEN", "TLS_KEY"].includes(name), name);
  }
  assert.equal(documents.has("Secret"), false);
});

Deno.test("Kubernetes' manifests ask for life and readiness where the service answers them", () => {
  assert.equal(container.livenessProbe.httpGet.path, "/livez");
  assert.equal(container.readinessProbe.httpGet.path, "/readyz");
  const [port] = container.ports;
  assert.equal(port.name, container.livenessProbe.httpGet.port);
  const imagePort = /^\s*PORT=(\d+)/m.exec(readExample("Dockerfile"))?.[1];
  assert.equal(String(port.containerPort), imagePort);
  assert.equal(documents.get("Service")?.spec.ports[0].targetPort, port.name);
  // What hangs is given longer than what is merely busy takes.
  const { periodSeconds, failureThreshold } = container.livenessProbe;
  assert.ok(periodSeconds * failureThreshold >= 30);
});

Deno.test("Kubernetes' pods are scraped at a port that no Service leads to", () => {
  const port = kubernetesSettings().get("METRICS_PORT");
  const template = documents.get("Deployment")?.spec.template as Document;
  assert.equal(template.metadata.annotations["prometheus.io/port"], port);
  const [, metrics] = container.ports;
  assert.equal(String(metrics.containerPort), port);
  for (const { targetPort } of documents.get("Service")?.spec.ports as Document[]) {
    assert.ok(targetPort !== metrics.name && String(targetPort) !== port);
  }
});

Deno.test("Kubernetes gives the service time for its balancers and for its farewell", () => {
  const drain = Number(kubernetesSettings().get("DRAIN_SECONDS"));
  const pause = container.lifecycle.preStop.sleep.seconds;
  assert.ok(pause >= 5);
  assert.ok(pod.terminationGracePeriodSeconds >= pause + drain + 5);
  const budget = documents.get("PodDisruptionBudget")?.spec;
  assert.equal(budget.maxUnavailable, 1);
  const labels = documents.get("Deployment")?.spec.template.metadata.labels;
  assert.deepEqual(budget.selector.matchLabels, labels);
  assert.deepEqual(documents.get("Service")?.spec.selector, labels);
  assert.ok(documents.get("Deployment")?.spec.replicas >= 2);
});

Deno.test("Kubernetes' manifests let the service write nothing and become nobody", () => {
  assert.equal(container.securityContext.readOnlyRootFilesystem, true);
  assert.equal(container.securityContext.allowPrivilegeEscalation, false);
  assert.deepEqual(container.securityContext.capabilities.drop, ["ALL"]);
  assert.equal(pod.securityContext.runAsNonRoot, true);
  const user = /^USER (\d+):(\d+)$/m.exec(readExample("Dockerfile"));
  assert.equal(String(pod.securityContext.runAsUser), user?.[1]);
  assert.equal(pod.automountServiceAccountToken, false);
  assert.ok(container.image.endsWith(`:${manifest.version}`));
});

/** A unit's keys, the last of each. */
function unit(path: string): ReadonlyMap<string, string> {
  const lines = readExample(path).split("\n").filter((line) => /^[A-Za-z]+=/.test(line));
  return new Map(
    lines.map((line) => [line.split("=")[0] ?? "", line.slice(line.indexOf("=") + 1)]),
  );
}

Deno.test("The systemd unit gives the service time to leave, descriptors, and nothing to write", () => {
  const keys = unit("ops/systemd/pulsewire.service");
  assert.ok(Number(keys.get("TimeoutStopSec")) > 10 + 5);
  assert.equal(keys.get("KillMode"), "mixed");
  assert.ok(Number(keys.get("LimitNOFILE")) >= LIMITS.connections.fallback * 1.1);
  assert.equal(keys.get("RestartPreventExitStatus"), "2");
  for (const key of ["NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"]) {
    assert.equal(keys.get(key), "yes", key);
  }
  assert.equal(keys.get("ProtectSystem"), "strict");
  assert.equal(keys.get("CapabilityBoundingSet"), "");
  assert.notEqual(keys.get("User"), "root");
  assert.ok(!keys.has("MemoryDenyWriteExecute"), "V8 could not compile");
  assert.match(keys.get("BindReadOnlyPaths") ?? "", /:\/run\/secrets$/);
});

Deno.test("The systemd unit for a checkout runs the task start, with its permissions and nothing else", () => {
  const keys = unit("ops/systemd/pulsewire-checkout.conf");
  assert.equal(keys.get("ExecStart"), "/usr/local/bin/deno task start");
  assert.ok("start" in manifest.tasks);
  assert.match(readExample("ops/systemd/pulsewire-checkout.conf"), /^ExecStart=\n/m);
});

const analyze = findProgram("systemd-analyze");

Deno.test({
  name: `systemd understands the unit and finds it hardened${
    analyze === null ? " (left out: systemd-analyze is not installed)" : ""
  }`,
  ignore: analyze === null,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "pulsewire-systemd-" });
    try {
      const path = `${folder}/pulsewire.service`;
      // It wants the program to be there, and no page of documentation.
      const text = readExample("ops/systemd/pulsewire.service").replace(
        "ExecStart=/usr/local/bin/pulsewire",
        "ExecStart=/bin/true",
      );
      await Deno.writeTextFile(path, text);
      const run = async (...args: string[]) => {
        const { stdout, stderr } = await new Deno.Command(analyze ?? "", { args }).output();
        return [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
      };
      const complaints = (await run("verify", path)).split("\n").filter((line) =>
        line.includes("pulsewire.service")
      );
      assert.deepEqual(complaints, []);
      const exposure = await run("security", "--offline=true", "--no-pager", path);
      const level = Number(/Overall exposure level for \S+: ([\d.]+)/.exec(exposure)?.[1]);
      assert.ok(level > 0 && level <= 2, `exposure level is ${level}: ${exposure}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("CI runs .ci/run with pinned actions, a token that only reads, and an end", () => {
  const workflow = parse(readExample(".github/workflows/ci.yml")) as Document;
  assert.deepEqual(workflow.permissions, { contents: "read" });
  const jobs = Object.values(workflow.jobs as Record<string, Document>);
  assert.ok(jobs.length > 0);
  for (const job of jobs) {
    assert.equal(job.permissions, undefined);
    assert.ok(job["timeout-minutes"] > 0);
    assert.match(job.container, /^node:\d+\.\d+\.\d+-bookworm$/);
    for (const step of job.steps as Document[]) {
      if (step.uses === undefined) continue;
      assert.match(step.uses, /^[\w-]+\/[\w-]+@[0-9a-f]{40}$/);
      if (step.uses.startsWith("actions/checkout@")) {
        assert.equal(step.with["persist-credentials"], false);
      }
    }
    const commands = (job.steps as Document[]).flatMap(({ run }) => run === undefined ? [] : [run]);
    assert.deepEqual(commands, ["bash .ci/run"]);
  }
  assert.ok(!readExample(".github/workflows/ci.yml").includes("pull_request_target"));
  assert.ok(!readExample(".github/workflows/ci.yml").includes("secrets."));
});

Deno.test("Every proxy waits longer than three pings", () => {
  const { PING_SECONDS } = readConfig({
    get: (name) =>
      new Map([
        ["DATABASE_URL", "postgres://a@b/c"],
        ["INFLUXDB_URL", "http://b"],
        ["JWT_SECRET", "x".repeat(32)],
      ]).get(name),
    readFile: () => "",
  });
  const waits: Readonly<Record<string, RegExp>> = {
    "ops/nginx/pulsewire.conf": /proxy_(?:read|send)_timeout +(\d+)s/g,
    "ops/haproxy/haproxy.cfg": /timeout (?:tunnel|client|server) (\d+)s/g,
    "ops/kubernetes/pulsewire.yaml": /proxy-(?:read|send)-timeout: "(\d+)"/g,
  };
  for (const [path, pattern] of Object.entries(waits)) {
    const seconds = [...readExample(path).matchAll(pattern)].map(([, text]) => Number(text));
    assert.ok(seconds.length >= 2, path);
    for (const wait of seconds) assert.ok(wait > 3 * PING_SECONDS, `${path}: ${wait} s`);
  }
});

Deno.test("Traefik's example drops what a token could stand in", () => {
  const { accessLog } = parse(readExample("ops/traefik/traefik.yaml")) as Document;
  assert.deepEqual(accessLog.fields.names, { RequestPath: "drop", RequestLine: "drop" });
  assert.equal(accessLog.fields.headers.defaultMode, "drop");
  const { http } = parse(readExample("ops/traefik/pulsewire.yaml")) as Document;
  assert.equal(http.services.pulsewire.loadBalancer.healthCheck.path, "/readyz");
  assert.match(http.routers.pulsewire.rule, /!Path\(`\/metrics`\)/);
});
