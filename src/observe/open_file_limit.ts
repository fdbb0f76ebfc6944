// Asks how many descriptors the process may open. The runtime tells only a process that may do everything, `getconf`
// tells everybody who may run it; it must change nothing.

/** The limit, or null where it can't be learned: no permission, or no such program. */
export async function openFileLimit(): Promise<number | null> {
  try {
    const command = new Deno.Command("getconf", { args: ["OPEN_MAX"], stderr: "null" });
    const { success, stdout } = await command.output();
    const text = new TextDecoder().decode(stdout).trim();
    return success && /^\d+$/.test(text) ? Number(text) : null;
  } catch {
    // Not allowed or not installed: what is not known is said where it is used.
    return null;
  }
}
