// Random transitions of a journal, and what they should leave in it.
import { type AttachmentKey, formatAttachmentKey } from '../base/attachment.ts'
import type { Ipv4 } from '../base/ip.ts'
import { allocate } from './allocator.ts'
import { BOOT_ID, testAddresses, testIntent, testVnic } from './ipam.fixture.ts'
import { type AddressRow, cooldownOf, coolingRow, type HeldRow, type Intent } from './journal-row.ts'
import type { Journal } from './journal.ts'

export type Step =
  | { readonly kind: 'intend'; readonly intent: Intent }
  | { readonly kind: 'commit'; readonly key: AttachmentKey; readonly ifindex: number }
  | { readonly kind: 'beginRelease' | 'forget'; readonly key: AttachmentKey }
  | { readonly kind: 'release'; readonly key: AttachmentKey; readonly nowMs: number; readonly cooldownMs: number }

export function takeStep(journal: Journal, step: Step): void {
  if (step.kind === 'intend') {
    const intended = journal.intend(step.intent)
    if (!intended.ok) throw new Error(intended.error.kind)
  } else if (step.kind === 'commit') journal.commit(step.key, { ifindex: step.ifindex })
  else if (step.kind === 'release') journal.release(step.key, { nowMs: step.nowMs, cooldownMs: step.cooldownMs })
  else journal[step.kind](step.key)
}

/** What the journal should hold. */
export type Model = ReadonlyMap<Ipv4, AddressRow>

export function modelAfter(model: Model, step: Step): Model {
  const next = new Map(model)
  if (step.kind === 'intend') {
    const before = model.get(step.intent.address)
    if (before !== undefined && before.state !== 'cooling') throw new Error(`${before.address} twice`)
    const previous = before === undefined ? null : cooldownOf(before)
    return next.set(step.intent.address, { ...step.intent, state: 'adding', ifindex: null, bootId: BOOT_ID, previous })
  }
  const row = heldRow(model, step.key)
  switch (step.kind) {
    case 'commit':
      return next.set(row.address, { ...row, state: 'attached', ifindex: step.ifindex })
    case 'beginRelease':
      return next.set(row.address, { ...row, state: 'deleting' })
    case 'release': {
      const cooldown = { releasedMs: step.nowMs, coolingUntilMs: step.nowMs + step.cooldownMs }
      return next.set(row.address, coolingRow(row, cooldown))
    }
    case 'forget':
      if (row.previous === null) next.delete(row.address)
      else next.set(row.address, coolingRow(row, row.previous))
      return next
  }
}

function heldRow(model: Model, key: AttachmentKey): HeldRow {
  for (const row of model.values()) {
    if (row.state !== 'cooling' && formatAttachmentKey(row.key) === formatAttachmentKey(key)) return row
  }
  throw new Error(`${formatAttachmentKey(key)} is not held`)
}

const vnics = [testVnic('vnic-1', testAddresses(12)), testVnic('vnic-2', testAddresses(12, 12))]
const cooldownMs = 20

/** A legal step: a new pod as long as there are addresses, or the next step of an existing one. */
export function randomStep(rows: ReadonlyMap<Ipv4, AddressRow>, random: () => number, nowMs: number): Step {
  const held = [...rows.values()].filter((row) => row.state !== 'cooling')
  const row = held[Math.floor(random() * held.length)]
  if (row === undefined || random() < 0.4) {
    const strategy = random() < 0.5 ? 'spread' : 'pack'
    const allocated = allocate({ vnics, uses: rows, quarantined: new Set(), nowMs }, { strategy })
    if (allocated.ok) {
      const { address, vnicId } = allocated.value
      return { kind: 'intend', intent: { ...testIntent(`pod-${nowMs}`, address, nowMs), vnicId } }
    }
  }
  if (row === undefined) throw new Error('all addresses are cooling: the steps took no time')
  const { key } = row
  switch (row.state) {
    case 'adding':
      if (random() < 0.6) return { kind: 'commit', key, ifindex: 1 + Math.floor(random() * 1000) }
      return { kind: random() < 0.5 ? 'forget' : 'beginRelease', key }
    case 'attached':
      return { kind: 'beginRelease', key }
    case 'deleting':
      return { kind: 'release', key, nowMs, cooldownMs }
  }
}

/** Numbers from 0 to 1 that depend on the seed alone (xorshift32, Marsaglia 2003). */
export function seededRandom(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
