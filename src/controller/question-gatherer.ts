import type { Sleep } from '../oci/sleep.ts'

export interface Waiter<Question, Answer> {
  readonly question: Question
  readonly settle: (answer: Answer) => void
  readonly fail: (error: unknown) => void
}

/** Settles everybody in the batch; what it throws, those hear who are not settled yet. */
export type AnswerBatch<Question, Answer> = (
  batch: readonly Waiter<Question, Answer>[],
  signal: AbortSignal,
) => Promise<void>

/** Up to so many are worth a call each; more share the calls that answer everybody. */
export const askedAlone = 3
/** How long a question waits for others to come along: longer while many do. */
const gatherFewMs = 20
const gatherManyMs = 250

/**
 * Questions that come close together are answered together: the quota is the tenancy's, and a thousand nodes that were
 * launched at once would use it up by asking one by one. An answer is never older than its question.
 */
export class QuestionGatherer<Question, Answer> {
  readonly #answer: AnswerBatch<Question, Answer>
  readonly #sleep: Sleep
  #waiting: Waiter<Question, Answer>[] = []
  #isServing = false

  constructor(answer: AnswerBatch<Question, Answer>, sleep: Sleep) {
    this.#answer = answer
    this.#sleep = sleep
  }

  /** `signal` is the same for everybody who shares this gatherer. */
  ask(question: Question, signal: AbortSignal): Promise<Answer> {
    return new Promise((settle, fail) => {
      this.#waiting.push({ question, settle, fail })
      if (!this.#isServing) void this.#serve(signal)
    })
  }

  // A batch does not wait for the one before it: an answer that is late holds up those who asked for it, and nobody else.
  async #serve(signal: AbortSignal): Promise<void> {
    this.#isServing = true
    try {
      let asked = 0
      do {
        await this.#sleep(asked > askedAlone ? gatherManyMs : gatherFewMs, signal)
        const batch = this.#waiting.splice(0)
        asked = batch.length
        this.#answer(batch, signal).catch((error: unknown) => failAll(batch, error))
      } while (asked > 0)
    } catch (error) {
      failAll(this.#waiting.splice(0), error)
    } finally {
      this.#isServing = false
    }
  }
}

function failAll(batch: readonly Pick<Waiter<never, never>, 'fail'>[], error: unknown): void {
  for (const { fail } of batch) fail(error)
}
