import { constants } from 'node:os'

const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** SIGINT, SIGTERM or SIGHUP came; work that was begun has been taken back when this reaches the entry. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

/**
 * Runs work that SIGINT, SIGTERM and SIGHUP (a closed terminal) abort instead of ending the process at once, so that it
 * can clean up after itself; so does a reader that has closed our output. Then the exit code is the shell's for that signal.
 * `isQuiet`: there is nothing to clean up, and nothing is said of it.
 */
export async function interruptible(
  work: (signal: AbortSignal) => Promise<void>,
  { isQuiet = false }: { readonly isQuiet?: boolean } = {},
): Promise<void> {
  const controller = new AbortController()
  const abort = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) return
    controller.abort(new Interrupted(signal))
    if (!isQuiet) process.stderr.write(`\n${signal}: cleaning up …\n`)
  }
  for (const signal of endings) process.on(signal, abort)
  // Stays: what is printed while cleaning up fails the same way, and an error nobody listens to ends the process.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => {
      abort('SIGPIPE')
    })
  }
  try {
    await work(controller.signal)
  } catch (error) {
    const reason: unknown = controller.signal.aborted ? controller.signal.reason : error
    // Node's own waits reject with an AbortError that only has the reason as its cause.
    if (!(reason instanceof Interrupted)) throw error
    process.exitCode = reason.exitCode
  } finally {
    for (const signal of endings) process.off(signal, abort)
  }
}
