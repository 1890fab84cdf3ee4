import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

// Real-time round robin (sched(7)): what is measured runs when it can run, whatever else the machine does. A competitor
// with more waits in it would otherwise lose more to other programs, and by how much would change from run to run.
const realTime = ['chrt', '--rr', '1'] as const
const firstTwo = availableParallelism() > 1 ? '0,1' : '0'

/** Goes before the command of everything that is timed: the same processors and priority for every competitor. */
export const asMeasured: readonly string[] = ['taskset', '--cpu-list', firstTwo, ...realTime]

/** Likewise, on one processor: 0 or 1, which are the same one where there is no other. */
export function onProcessor(processor: 0 | 1): readonly string[] {
  return ['taskset', '--cpu-list', firstTwo.includes(',') ? String(processor) : '0', ...realTime]
}

/** Puts a running process, all its threads and those they will make where `asMeasured` puts a command. */
export function placeAsMeasured(pid: number): void {
  execFileSync('taskset', ['--all-tasks', '--pid', '--cpu-list', firstTwo, String(pid)], { stdio: 'ignore' })
  execFileSync('chrt', ['--all-tasks', '--rr', '--pid', '1', String(pid)], { stdio: 'ignore' })
}
