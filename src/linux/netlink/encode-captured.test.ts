import { describe, expect, test } from 'vitest'
import { addAddress, deleteAddress } from './address.ts'
import { type CapturedRequest, capturedRequests, viewRequest } from './captured.fixture.ts'
import { NLM_F_ACK } from './constants.ts'
import { changeLink, createVeth, deleteLink } from './link.ts'
import { deleteNeighbour, setNeighbour } from './neighbour.ts'
import { addRoute, deleteRoute, replaceRoute } from './route.ts'
import { addRule, deleteRule } from './rule.ts'
import { encodeRequests, type NetlinkRequest } from './wire.ts'

const encoders = new Map<string, (...values: never[]) => NetlinkRequest>(
  Object.entries({
    createVeth,
    changeLink,
    deleteLink,
    addAddress,
    deleteAddress,
    addRoute,
    replaceRoute,
    deleteRoute,
    addRule,
    deleteRule,
    setNeighbour,
    deleteNeighbour,
  }),
)

/** Our message for the command, under iproute2's sequence number. */
function ours({ operation, arguments: values, hex }: CapturedRequest): Buffer {
  const encoder = encoders.get(operation)
  if (encoder === undefined) throw new Error(`no encoder ${operation}`)
  const request = Reflect.apply(encoder, undefined, values) as NetlinkRequest
  return encodeRequests([request], Buffer.from(hex, 'hex').readUInt32LE(8), NLM_F_ACK)
}

describe('our request says what iproute2 says', () => {
  test.each(capturedRequests)('$command', (row) => {
    expect(viewRequest(ours(row))).toEqual(viewRequest(Buffer.from(row.hex, 'hex')))
  })
})

describe('our request is iproute2’s to the byte', () => {
  test.each(capturedRequests.filter(({ sameBytes }) => sameBytes))('$command', (row) => {
    expect(ours(row).toString('hex')).toBe(row.hex)
  })
})

test('every encoder has been compared', () => {
  expect(new Set(capturedRequests.map(({ operation }) => operation))).toEqual(new Set(encoders.keys()))
})
