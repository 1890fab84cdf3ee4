import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Every kind of question that a child process answers. Both ends are this program: what comes is what was sent. */
type Questions<Q> = Readonly<Record<keyof Q, { readonly question: unknown; readonly answer: unknown }>>

interface Asked {
  readonly serial: number
  readonly kind: string
  readonly question: unknown
}

type Answered = { readonly serial: number } & ({ readonly answer: unknown } | { readonly failure: string })

type Waiting = PromiseWithResolvers<unknown>

/** A process of a module beside this one that answers questions. It ends with its scope. */
export class QuestionedChild<Q extends Questions<Q>> implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #serial = 0

  /** `flags`: of Node. */
  constructor(module: string, flags: readonly string[] = []) {
    this.#child = fork(fileURLToPath(new URL(module, import.meta.url)), {
      execArgv: [...process.execArgv, ...flags],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#child.on('message', (message) => this.#settle(message as Answered))
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${module} ended before it answered`))
      this.#waiting.clear()
    })
  }

  async ask<K extends keyof Q & string>(kind: K, question: Q[K]['question']): Promise<Q[K]['answer']> {
    if (!this.#child.connected) throw new Error(`nobody is there to be asked for ${kind}`)
    const serial = ++this.#serial
    const waiting: Waiting = Promise.withResolvers()
    this.#waiting.set(serial, waiting)
    this.#child.send({ serial, kind, question } satisfies Asked)
    return waiting.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endProcess(this.#child)
  }

  #settle(message: Answered): void {
    const waiting = this.#waiting.get(message.serial)
    this.#waiting.delete(message.serial)
    if ('answer' in message) waiting?.resolve(message.answer)
    else waiting?.reject(new Error(message.failure))
  }
}

/** The other end: answers until the parent is gone, for whatever reason. */
export function answerQuestions<Q extends Questions<Q>>(answers: {
  readonly [K in keyof Q & string]: (question: Q[K]['question']) => Promise<Q[K]['answer']> | Q[K]['answer']
}): void {
  // Ctrl-C is for the parent, which ends its children when it has what it needs of them.
  process.on('SIGINT', () => undefined)
  process.on('disconnect', () => process.exit())
  process.on('message', (message) => {
    const { serial, kind, question } = message as Asked
    const answer = answers[kind as keyof Q & string]
    Promise.try(answer, question).then(
      (given) => process.send?.({ serial, answer: given ?? {} } satisfies Answered),
      (error: unknown) => process.send?.({ serial, failure: String(error) } satisfies Answered),
    )
  })
}

/** SIGTERM, and SIGKILL for whoever does not listen. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const impatient = setTimeout(() => child.kill('SIGKILL'), 5000)
  await exited
  clearTimeout(impatient)
}
