/** A status is read by people; all of them are in the log. */
const problemsTold = 20

export function shortened(problems: readonly string[]): readonly string[] {
  const more = problems.length - problemsTold
  return more > 0 ? [...problems.slice(0, problemsTold), `${more} more: see the agent’s log`] : problems
}
