// Lets time pass while something is measured; never to hope that something has come about.

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
