// What a process has spent, from the system's accounts. It must never ask the process itself, which that would disturb.

export interface Usage {
  /** Seconds of processor time since its start. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** `sysconf(_SC_CLK_TCK)` on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/** The accounts know no less. */
export const LEAST_CPU_SECONDS = 1 / TICKS_PER_SECOND;

/** Null for one that has ended. Asked of the system's own tools: the runtime shows it only to those who may do all. */
export async function usageOf(pid: number): Promise<Usage | null> {
  const command = new Deno.Command("cat", {
    args: [`/proc/${pid}/stat`, `/proc/${pid}/status`],
    stderr: "null",
  });
  const [stat = "", ...status] = new TextDecoder().decode((await command.output()).stdout)
    .split("\n");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // One that nobody has waited for yet is still there in name.
  if (fields[0] === "" || fields[0] === "Z") return null;
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentBytes: Number(/VmRSS:\s+(\d+)/.exec(status.join("\n"))?.[1]) * 1_024,
  };
}
