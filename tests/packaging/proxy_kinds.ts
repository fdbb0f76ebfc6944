// The reverse proxies whose configurations operators are given, each changed only in what an operator would change.
import { changed, readExample } from "./example_file.ts";
import type { ProxyKind } from "./proxy_process.ts";

const nginx: ProxyKind = {
  name: "nginx",
  program: "nginx",
  logs: ["pulsewire.access.log", "pulsewire.error.log", "error.log"],
  configure({ folder, port, servicePort }) {
    const site = changed(readExample("ops/nginx/pulsewire.conf"), {
      "127.0.0.1:8000": `127.0.0.1:${servicePort}`,
      "listen 443 ssl": `listen 127.0.0.1:${port} ssl`,
      "/etc/nginx/tls/live.example.com.crt": `${folder}/tls.crt`,
      "/etc/nginx/tls/live.example.com.key": `${folder}/tls.key`,
      "/var/log/nginx/pulsewire.access.log": `${folder}/pulsewire.access.log`,
      "/var/log/nginx/pulsewire.error.log": `${folder}/pulsewire.error.log`,
    });
    Deno.writeTextFileSync(`${folder}/pulsewire.conf`, site);
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
      `${name}_temp_path ${folder}/${name};`
    );
    Deno.writeTextFileSync(
      `${folder}/nginx.conf`,
      `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
      events { worker_connections 64; }
      http { ${paths.join(" ")} include ${folder}/pulsewire.conf; }`,
    );
  },
  args: (folder) => ["-e", `${folder}/error.log`, "-p", folder, "-c", `${folder}/nginx.conf`],
};

const haproxy: ProxyKind = {
  name: "HAProxy",
  program: "haproxy",
  logs: [],
  configure({ folder, port, servicePort }) {
    const text = changed(readExample("ops/haproxy/haproxy.cfg"), {
      "127.0.0.1:8000": `127.0.0.1:${servicePort}`,
      "bind :443": `bind 127.0.0.1:${port}`,
      "/etc/haproxy/tls/live.example.com.pem": `${folder}/tls.pem`,
      "maxconn 40000": "maxconn 64",
    });
    Deno.writeTextFileSync(`${folder}/haproxy.cfg`, text);
  },
  args: (folder) => ["-db", "-f", `${folder}/haproxy.cfg`],
};

const caddy: ProxyKind = {
  name: "Caddy",
  program: "caddy",
  logs: ["pulsewire.access.log"],
  configure({ folder, port, servicePort }) {
    const text = changed(readExample("ops/caddy/Caddyfile"), {
      "127.0.0.1:8000": `127.0.0.1:${servicePort}`,
      "live.example.com {": `https://127.0.0.1:${port} {
	bind 127.0.0.1
	tls ${folder}/tls.crt ${folder}/tls.key`,
      "/var/log/caddy/pulsewire.access.log": `${folder}/pulsewire.access.log`,
      // Neither a port for administrators nor one for redirects.
      "{\n\t# A token": "{\n\tadmin off\n\tauto_https disable_redirects\n\t# A token",
    });
    Deno.writeTextFileSync(`${folder}/Caddyfile`, text);
  },
  args: (folder) => ["run", "--adapter", "caddyfile", "--config", `${folder}/Caddyfile`],
};

export const PROXY_KINDS: readonly ProxyKind[] = [nginx, haproxy, caddy];
