// Makes an authority and a certificate of it for 127.0.0.1; for tests only. The runtime takes no certificate that vouches
// for itself.

/** All three are PEM. */
export interface TestCertificate {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

export async function makeCertificate(): Promise<TestCertificate> {
  const folder = await Deno.makeTempDir({ prefix: "pulsewire-certificate-" });
  const path = (name: string) => `${folder}/${name}`;
  const make = async (name: string, ...more: readonly string[]) => {
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const files = ["-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)];
    const { code, stderr } = await new Deno.Command("openssl", {
      args: ["req", "-x509", ...kind, "-days", "2", ...files, ...more],
      cwd: "/",
    }).output();
    if (code !== 0) throw new Error(`Cannot run openssl: ${new TextDecoder().decode(stderr)}`);
  };
  try {
    await make("authority", "-subj", "/CN=Authority of a test");
    const signed = ["-CA", path("authority.crt"), "-CAkey", path("authority.key")];
    const extensions = ["subjectAltName=IP:127.0.0.1", "basicConstraints=critical,CA:FALSE"];
    const added = extensions.flatMap((extension) => ["-addext", extension]);
    await make("server", "-subj", "/CN=127.0.0.1", ...signed, ...added);
    return {
      authority: await Deno.readTextFile(path("authority.crt")),
      certificate: await Deno.readTextFile(path("server.crt")),
      key: await Deno.readTextFile(path("server.key")),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
