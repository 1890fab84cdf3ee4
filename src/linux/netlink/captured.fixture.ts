import { readFileSync } from 'node:fs'

/** A request of iproute2 and the call of ours that should say the same (testdata/capture.ts). */
export interface CapturedRequest {
  readonly command: string
  readonly operation: string
  readonly arguments: readonly unknown[]
  readonly sameBytes: boolean
  readonly hex: string
}

/** What the kernel answered to a command: datagrams, and what they say. */
export interface CapturedAnswer {
  readonly command: string
  readonly decoder: string
  readonly means: unknown
  readonly hex: readonly string[]
}

export const capturedRequests = (read('iproute2-requests.json') as { readonly requests: readonly CapturedRequest[] })
  .requests
export const capturedAnswers = (read('kernel-answers.json') as { readonly answers: readonly CapturedAnswer[] }).answers

function read(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../testdata/${file}`, import.meta.url), 'utf8'))
}

/** A request with everything that two senders may write differently and mean the same put in one form. */
export interface RequestView {
  readonly type: number
  readonly flags: number
  readonly fixed: string
  readonly table?: number
  readonly attributes: readonly AttributeView[]
}

export type AttributeView = readonly [type: number, value: string | readonly AttributeView[]]

const [newLink, newRoute, deleteRoute, newRule, deleteRule] = [16, 24, 25, 32, 33]
const fixedBytes: Readonly<Record<number, number>> = {
  [newLink]: 16,
  17: 16,
  20: 8,
  21: 8,
  [newRoute]: 12,
  [deleteRoute]: 12,
  28: 12,
  29: 12,
  [newRule]: 12,
  [deleteRule]: 12,
}
const tableAttribute = 15
const tableOffset = 4
const kindOffset = 7

/** Reads by itself, without the decoder that is under test. */
export function viewRequest(message: Buffer): RequestView {
  const type = message.readUInt16LE(4)
  const flags = message.readUInt16LE(6)
  const attributesAt = 16 + (fixedBytes[type] ?? Number.NaN)
  const fixed = Buffer.from(message.subarray(16, attributesAt))
  const attributes = viewAttributes(message.subarray(attributesAt), type === newLink ? [infoAttribute] : [])
  if (![newRoute, deleteRoute, newRule, deleteRule].includes(type)) {
    return { type, flags, fixed: fixed.toString('hex'), attributes }
  }
  // A table below 256 may be said in the fixed part, by the attribute, or by both; the attribute counts.
  const said = attributes.find(([attribute]) => attribute === tableAttribute)?.[1]
  const table = typeof said === 'string' ? Buffer.from(said, 'hex').readUInt32LE(0) : fixed.readUInt8(tableOffset)
  fixed.writeUInt8(0, tableOffset)
  // iproute2 deletes whatever kind of route or action of rule it is.
  if (type === deleteRoute || type === deleteRule) fixed.writeUInt8(0, kindOffset)
  const others = attributes.filter(([attribute]) => attribute !== tableAttribute)
  return { type, flags, fixed: fixed.toString('hex'), table, attributes: others }
}

// IFLA_LINKINFO { IFLA_INFO_KIND, IFLA_INFO_DATA { VETH_INFO_PEER { struct ifinfomsg, attributes } } }
const infoAttribute = 18
const [kindAttribute, dataAttribute, peerAttribute] = [1, 2, 1]
const peerHeaderBytes = 16

/** Sorted by type; `path` is the way into the nested attributes. */
function viewAttributes(bytes: Buffer, path: readonly number[]): readonly AttributeView[] {
  const views: AttributeView[] = []
  for (let offset = 0; offset + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(offset)
    const type = bytes.readUInt16LE(offset + 2)
    views.push(viewAttribute(type, bytes.subarray(offset + 4, offset + length), path))
    offset += Math.ceil(length / 4) * 4
  }
  return views.sort(([a], [b]) => a - b)
}

function viewAttribute(type: number, value: Buffer, path: readonly number[]): AttributeView {
  const [next] = path
  if (next === infoAttribute && type === infoAttribute) return [type, viewAttributes(value, [dataAttribute])]
  // Policy NLA_STRING: a closing zero makes no difference.
  if (next === dataAttribute && type === kindAttribute) return [type, value.toString('utf8').replace(/\0$/, '')]
  if (next === dataAttribute && type === dataAttribute) return [type, viewAttributes(value, [peerAttribute])]
  if (next === peerAttribute && type === peerAttribute) {
    const header: AttributeView = [0, value.toString('hex', 0, peerHeaderBytes)]
    return [type, [header, ...viewAttributes(value.subarray(peerHeaderBytes), [])]]
  }
  return [type, value.toString('hex')]
}
