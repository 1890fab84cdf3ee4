/** CLOCK_MONOTONIC, the same in all processes of a machine; performance.now() begins with each process. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
