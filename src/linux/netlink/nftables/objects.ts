import { nfgenmsg, splitNfgenmsg } from '../nfnetlink.ts'
import { Attributes, MalformedNetlink } from '../wire.ts'
import type { TableAddress } from './batch.ts'
import * as nft from './constants.ts'

// What is asked of the kernel to tell whether a table is still as it was made: handles and counts, never contents.

export interface TableObject {
  readonly name: string
  /** Never used again in the same namespace: a table made anew under the same name has another. */
  readonly handle: bigint
  readonly isDormant: boolean
  /** How many chains, sets and other objects it has. */
  readonly objectCount: number
}
export interface RuleObject {
  readonly chain: string
  readonly handle: bigint
}
export interface SetObject {
  readonly name: string
  readonly handle: bigint
  /** Of its elements, where the kernel tells (6.16 and later). */
  readonly elementCount: number | undefined
}

export function tableRequest({ family, name }: TableAddress): Buffer {
  return nfgenmsg(family).text(nft.NFTA_TABLE_NAME, name).done()
}

export function rulesRequest({ family, name }: TableAddress, chain: string | undefined): Buffer {
  const request = nfgenmsg(family).text(nft.NFTA_RULE_TABLE, name)
  return (chain === undefined ? request : request.text(nft.NFTA_RULE_CHAIN, chain)).done()
}

export function setsRequest({ family, name }: TableAddress): Buffer {
  return nfgenmsg(family).text(nft.NFTA_SET_TABLE, name).done()
}

export function setRequest({ family, name }: TableAddress, set: string): Buffer {
  return nfgenmsg(family).text(nft.NFTA_SET_TABLE, name).text(nft.NFTA_SET_NAME, set).done()
}

export function setElementsRequest({ family, name }: TableAddress, set: string): Buffer {
  return nfgenmsg(family).text(nft.NFTA_SET_ELEM_LIST_TABLE, name).text(nft.NFTA_SET_ELEM_LIST_SET, set).done()
}

export function generationRequest(): Buffer {
  return nfgenmsg(0).done()
}

export function decodeGeneration(body: Buffer): number {
  return required(attributesOf(body), nft.NFTA_GEN_ID, 4).readUInt32BE(0)
}

export function decodeTable(body: Buffer): TableObject {
  const attributes = attributesOf(body)
  const flags = attributes.bytes(nft.NFTA_TABLE_FLAGS)?.readUInt32BE(0) ?? 0
  return {
    name: attributes.text(nft.NFTA_TABLE_NAME) ?? '',
    handle: required(attributes, nft.NFTA_TABLE_HANDLE, 8).readBigUInt64BE(0),
    isDormant: (flags & nft.NFT_TABLE_F_DORMANT) !== 0,
    objectCount: required(attributes, nft.NFTA_TABLE_USE, 4).readUInt32BE(0),
  }
}

export function decodeRule(body: Buffer): RuleObject {
  const attributes = attributesOf(body)
  return {
    chain: attributes.text(nft.NFTA_RULE_CHAIN) ?? '',
    handle: required(attributes, nft.NFTA_RULE_HANDLE, 8).readBigUInt64BE(0),
  }
}

export function decodeSet(body: Buffer): SetObject {
  const attributes = attributesOf(body)
  return {
    name: attributes.text(nft.NFTA_SET_NAME) ?? '',
    handle: required(attributes, nft.NFTA_SET_HANDLE, 8).readBigUInt64BE(0),
    elementCount: attributes.bytes(nft.NFTA_SET_COUNT)?.readUInt32BE(0),
  }
}

/** Bytes of an element; of a value that is a verdict, or of none, ''. */
export type RawEntry = readonly [key: string, data: string]

/** How many packets met an element. */
export interface RawCount {
  readonly key: string
  readonly packets: number
  readonly bytes: number
}

/** The elements in one message of a dump. */
export function decodeSetElements(body: Buffer): readonly RawEntry[] {
  return elementsIn(body).map((element): RawEntry => {
    const data = element.nested(nft.NFTA_SET_ELEM_DATA)?.bytes(nft.NFTA_DATA_VALUE)
    return [keyOfElement(element), data?.toString('latin1') ?? '']
  })
}

/** The counters in one message of a dump; of a set without them, none. */
export function decodeSetCounts(body: Buffer): readonly RawCount[] {
  return elementsIn(body).flatMap((element): readonly RawCount[] => {
    const expression = element.nested(nft.NFTA_SET_ELEM_EXPR)
    const counter = expression?.text(nft.NFTA_EXPR_NAME) === 'counter' && expression.nested(nft.NFTA_EXPR_DATA)
    if (counter === undefined || counter === false) return []
    const numberOf = (type: number): number => Number(required(counter, type, 8).readBigUInt64BE(0))
    const [packets, bytes] = [numberOf(nft.NFTA_COUNTER_PACKETS), numberOf(nft.NFTA_COUNTER_BYTES)]
    return [{ key: keyOfElement(element), packets, bytes }]
  })
}

function elementsIn(body: Buffer): readonly Attributes[] {
  const list = attributesOf(body).bytes(nft.NFTA_SET_ELEM_LIST_ELEMENTS)
  return list === undefined ? [] : listItems(list).map((item) => Attributes.decode(item))
}

/** The key in an element's attributes, as bytes. */
export function keyOfElement(element: Attributes): string {
  return element.nested(nft.NFTA_SET_ELEM_KEY)?.bytes(nft.NFTA_DATA_VALUE)?.toString('latin1') ?? ''
}

/** `Attributes` keeps one of each type, but a list repeats the same one. */
function listItems(list: Buffer): readonly Buffer[] {
  const items: Buffer[] = []
  for (let offset = 0; offset + 4 <= list.length;) {
    const length = list.readUInt16LE(offset)
    if (length < 4 || length > list.length - offset) throw new MalformedNetlink('a list of elements is cut off')
    items.push(list.subarray(offset + 4, offset + length))
    offset += (length + 3) & ~3
  }
  return items
}

function attributesOf(body: Buffer): Attributes {
  return splitNfgenmsg(body)[1]
}

function required(attributes: Attributes, type: number, bytes: number): Buffer {
  const value = attributes.bytes(type)
  if (value?.length !== bytes) throw new MalformedNetlink(`nf_tables attribute ${type} does not have ${bytes} bytes`)
  return value
}
