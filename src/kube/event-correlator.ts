import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import type { ObjectRef } from './object.ts'
import type { ObjectReference } from './object-reference.ts'

/** What happened to an object, for people. */
export interface EventFacts {
  readonly regarding: ObjectReference
  readonly type: 'Normal' | 'Warning'
  /** One CamelCase word, at most 128 characters. */
  readonly reason: string
  /** What happened and what can be done; cut at 1024 characters. */
  readonly note: string
  /** What was being done; the reason when absent. */
  readonly action?: string
}

/** An Event to be made or, when it was made before, to be counted up. */
export interface EventWrite {
  readonly key: string
  readonly facts: EventFacts
  readonly namespace: string
  readonly name: string
  readonly message: string
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

interface Known extends EventWrite {
  readonly isWritten: boolean
}

interface Bucket {
  readonly tokens: number
  readonly atMs: number
}

/** A repeat within this time counts up the same Event (client-go's EventAggregator and spam filter use the same numbers). */
const sameEventMs = 10 * 60_000
const similarEvents = 10
const burstAnObject = 25
const refillMs = 5 * 60_000
const mostKnown = 4096
// Validation of core/v1 Event: note at most 1 kB.
const longestMessage = 1024

/** Decides what becomes of events: repeated ones are counted, similar ones combined, and too many about one object dropped. */
export class EventCorrelator {
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()
  readonly #similar = new Map<string, { readonly notes: ReadonlySet<string>; readonly lastMs: number }>()
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Undefined: too many about this object. */
  correlate(facts: EventFacts): EventWrite | undefined {
    const nowMs = this.#clock.nowMs()
    if (!this.#takeToken(facts.regarding)) return undefined
    const group = JSON.stringify([objectOf(facts.regarding), facts.type, facts.reason])
    const isCombined = this.#isOneOfMany(group, facts.note, nowMs)
    const key = isCombined ? group : JSON.stringify([group, facts.note])
    const message = cut(isCombined ? `(combined from similar events): ${facts.note}` : facts.note)
    const earlier = this.#known.get(key)
    const isRepeat = earlier !== undefined && nowMs - earlier.lastMs < sameEventMs
    const write: EventWrite = isRepeat
      ? { ...earlier, message, count: earlier.count + 1, lastMs: nowMs }
      : { key, facts, ...eventName(facts.regarding), message, count: 1, firstMs: nowMs, lastMs: nowMs }
    remember(this.#known, key, { ...write, isWritten: isRepeat && earlier.isWritten })
    return write
  }

  /** The Event that this key was written as. */
  writtenAs(key: string): ObjectRef | undefined {
    const known = this.#known.get(key)
    return known?.isWritten === true ? { namespace: known.namespace, name: known.name } : undefined
  }

  wasWritten(write: EventWrite): void {
    const known = this.#known.get(write.key)
    if (known?.name === write.name) this.#known.set(write.key, { ...known, isWritten: true })
  }

  #isOneOfMany(group: string, note: string, nowMs: number): boolean {
    const earlier = this.#similar.get(group)
    const isRecent = earlier !== undefined && nowMs - earlier.lastMs < sameEventMs
    const notes = isRecent ? earlier.notes : new Set<string>()
    const next = notes.size < similarEvents ? new Set([...notes, note]) : notes
    remember(this.#similar, group, { notes: next, lastMs: nowMs })
    return !next.has(note)
  }

  #takeToken(regarding: ObjectReference): boolean {
    const nowMs = this.#clock.monotonicMs()
    const key = objectOf(regarding)
    const bucket = this.#buckets.get(key) ?? { tokens: burstAnObject, atMs: nowMs }
    const tokens = Math.min(burstAnObject, bucket.tokens + (nowMs - bucket.atMs) / refillMs)
    const isAllowed = tokens >= 1
    remember(this.#buckets, key, { tokens: isAllowed ? tokens - 1 : tokens, atMs: nowMs })
    return isAllowed
  }
}

// The API server wants events of cluster-scoped objects in the namespace default (validation of core/v1 Event).
function eventName({ namespace = 'default', name }: ObjectReference): { namespace: string; name: string } {
  return { namespace, name: `${name.slice(0, 220)}.${randomBytes(8).toString('hex')}` }
}

function objectOf({ kind, namespace = '', name, uid = '' }: ObjectReference): string {
  return JSON.stringify([kind, namespace, name, uid])
}

/** Longest unused is forgotten first: a Map keeps the order in which keys were set. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > mostKnown && oldest !== undefined) map.delete(oldest)
}

function cut(text: string): string {
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage - 1)}…`
}
