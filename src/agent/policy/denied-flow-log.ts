import type { Logger } from '../../base/logger.ts'
import { type Scheduler, sleep } from '../../kube/scheduler.ts'
import { denialText } from '../../policy/decision-text.ts'
import type { Party } from '../../policy/decide-flow.ts'
import type { DeniedFlow } from '../denied-flow.ts'
import { type FlowCount, readDeniedFlows, type ReadCounts } from './denied-flows.ts'

export interface DeniedFlowLogOptions {
  readonly read: ReadCounts
  readonly explain: (flows: readonly FlowCount[]) => readonly DeniedFlow[]
  readonly scheduler: Scheduler
  readonly logger: Logger
}

const pollMs = 1000
const linesPerPoll = 50
/** A flow that goes on is told again after this. */
const againMs = 60_000

interface Told {
  readonly atMs: number
  readonly packets: number
}

/** Tells the agent's log which flows are denied, with the names of their ends: each at most once a minute. */
export class DeniedFlowLog {
  readonly #options: DeniedFlowLogOptions
  readonly #told = new Map<string, Told>()
  #problem: string | undefined

  constructor(options: DeniedFlowLogOptions) {
    this.#options = options
  }

  /** Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await sleep(this.#options.scheduler, pollMs, signal)
        this.#complain(await this.#attempt(signal))
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Whatever goes wrong here must not end the engine. */
  async #attempt(signal: AbortSignal): Promise<string | undefined> {
    try {
      return await this.#poll(signal)
    } catch (error) {
      signal.throwIfAborted()
      return error instanceof Error ? error.message : String(error)
    }
  }

  async #poll(signal: AbortSignal): Promise<string | undefined> {
    const { read, explain, logger } = this.#options
    const flows = await readDeniedFlows(read, signal)
    if (!flows.ok) return flows.error
    const due = this.#due(flows.value)
    for (const flow of explain(due.slice(0, linesPerPoll))) logger.info('policy.denied', fieldsOf(flow))
    const more = due.length - linesPerPoll
    if (more > 0) logger.info('policy.denied.more', { flows: more, note: 'vcnctl policy denied lists them' })
    return undefined
  }

  /** The same sentence every second would bury the others. */
  #complain(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#problem)
      this.#options.logger.warn('policy.denied.unreadable', { problem })
    this.#problem = problem
  }

  /** Those that are not told yet, or not for a minute; what is left out counts as told. */
  #due(flows: readonly FlowCount[]): readonly FlowCount[] {
    const nowMs = this.#options.scheduler.monotonicMs()
    const present = new Set<string>()
    const due = flows.filter((flow) => {
      const key = keyOf(flow)
      present.add(key)
      const told = this.#told.get(key)
      const isNews = told === undefined || (nowMs - told.atMs >= againMs && flow.packets !== told.packets)
      if (isNews) this.#told.set(key, { atMs: nowMs, packets: flow.packets })
      return isNews
    })
    for (const [key, { atMs }] of this.#told) {
      if (!present.has(key) && nowMs - atMs >= againMs) this.#told.delete(key)
    }
    return due
  }
}

function keyOf({ direction, from, to, protocol, port }: FlowCount): string {
  return `${direction} ${from} ${to} ${protocol} ${port}`
}

function fieldsOf({ direction, from, to, decision, ...rest }: DeniedFlow): Readonly<Record<string, unknown>> {
  return {
    direction,
    ...endFields('from', from),
    ...endFields('to', to),
    ...rest,
    because: denialText(direction, decision),
  }
}

function endFields(end: 'from' | 'to', party: Party): Readonly<Record<string, string>> {
  switch (party.kind) {
    case 'pod':
      return { [end]: party.key, [`${end}Address`]: party.address }
    case 'node':
      return { [end]: `node ${party.name}`, [`${end}Address`]: party.address }
    case 'outside':
      return { [end]: party.address }
  }
}
