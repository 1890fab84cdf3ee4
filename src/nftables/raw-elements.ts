import type { BatchWriter, RawData, RawElement, TableAddress } from '../linux/netlink/nftables/batch.ts'
import { verdictCodes, type VerdictWord } from '../linux/netlink/nftables/constants.ts'
import type { ElementChange } from './change.ts'
import { packedBytes } from './datatype.ts'
import type { Element } from './elements.ts'
import type { Family, NftSet, Table } from './model.ts'

const familyNumbers: Readonly<Record<Family, number>> = { ip: 2, ip6: 10, inet: 1 } // linux/netfilter.h, NFPROTO_*

/** How many elements are encoded between two steps of the generator. */
const elementsPerStep = 512

export function addressOf({ family, name }: Pick<Table, 'family' | 'name'>): TableAddress {
  return { family: familyNumbers[family], name }
}

/** Appends changes to a batch; yields now and then, for a caller that must not hold up its event loop. */
export function* writeElementChanges(
  batch: BatchWriter,
  table: TableAddress,
  changes: readonly ElementChange[],
): Generator<void, void> {
  let count = 0
  for (const { kind, name, set, elements } of changes) {
    const action = kind === 'elements.add' ? 'add' : 'delete'
    for (const element of elements) {
      for (const raw of rawElements(set, element)) batch.element(action, table, name, raw)
      if (++count % elementsPerStep === 0) yield
    }
  }
}

/** An element as the kernel keeps it: one, or the two ends of a range. */
function rawElements(set: NftSet, [key, value]: Element): readonly RawElement[] {
  const data = set.data === undefined ? {} : { data: rawData(set.data === 'verdict', value) }
  if (set.interval !== true) return [{ key, ...data }]
  const keyBytes = packedBytes(set.key)
  const first = key.slice(0, keyBytes)
  const last = key.slice(keyBytes)
  if (set.key.length > 1) return [{ key: first, keyEnd: last, ...data }]
  const behind = successor(last)
  // A range up to the very last key has no end: nothing lies behind it.
  return [{ key: first, ...data }, ...(behind === undefined ? [] : [{ key: behind, isIntervalEnd: true }])]
}

function rawData(isVerdict: boolean, value: string): RawData {
  if (!isVerdict) return { kind: 'bytes', bytes: value }
  const space = value.indexOf(' ')
  const word = space < 0 ? value : value.slice(0, space)
  if (!isVerdictWord(word)) throw new RangeError(`${JSON.stringify(value)} is no verdict`)
  return space < 0 ? { kind: 'verdict', word } : { kind: 'verdict', word, chain: value.slice(space + 1) }
}

function isVerdictWord(word: string): word is VerdictWord {
  return Object.hasOwn(verdictCodes, word)
}

/** The next key in the order of big-endian numbers. */
function successor(key: string): string | undefined {
  const bytes = Buffer.from(key, 'latin1')
  for (let index = bytes.length - 1; index >= 0; index--) {
    const byte = bytes[index] ?? 0
    bytes[index] = (byte + 1) & 255
    if (byte < 255) return bytes.toString('latin1')
  }
  return undefined
}
