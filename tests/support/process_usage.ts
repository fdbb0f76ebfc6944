// What a process holds of the machine, asked of the system's own tools; the runtime shows it only to those who may do all.

/** Descriptors that a process has open. */
export async function openDescriptors(pid = Deno.pid): Promise<number> {
  const { stdout } = await new Deno.Command("ls", { args: [`/proc/${pid}/fd`] }).output();
  return new TextDecoder().decode(stdout).trim().split("\n").length;
}

/** Megabytes of this process that are in memory, of others' asked of `ps`. */
export async function residentMegabytes(pid = Deno.pid): Promise<number> {
  if (pid === Deno.pid) return Deno.memoryUsage().rss / (1 << 20);
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", "-p", String(pid)] })
    .output();
  return Number(new TextDecoder().decode(stdout)) / 1_024;
}
