// The tenants of a demo, each with a token that it gives to whoever asks; an installation has no such thing.

export interface DemoTenant {
  readonly tenant_id: string;
  readonly name: string;
  readonly token: string;
}

/** Null where this is no demo, or nobody answers. */
export async function fetchDemoTenants(base: URL): Promise<readonly DemoTenant[] | null> {
  try {
    const response = await fetch(new URL("demo.json", base), { cache: "no-store" });
    if (!response.ok) return null;
    return (await response.json() as { tenants: DemoTenant[] }).tenants;
  } catch {
    return null;
  }
}
