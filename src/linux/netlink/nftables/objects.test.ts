import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BodyWriter, MalformedNetlink } from '../wire.ts'
import * as objects from './objects.ts'

const decoders = {
  generation: objects.decodeGeneration,
  table: objects.decodeTable,
  rule: objects.decodeRule,
  set: objects.decodeSet,
  elements: objects.decodeSetElements,
  counts: objects.decodeSetCounts,
}

test.each(Object.entries(decoders))('bytes that are no %s are malformed, and nothing worse', (_, decode) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decode(Buffer.from(bytes))
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedNetlink)
      }
    }),
  )
})

test('a list of elements that is cut off is malformed', () => {
  const body = new BodyWriter()
    .bytes(Buffer.alloc(4))
    .attribute(3, Uint8Array.of(200, 0, 1, 0))
    .done()
  expect(() => objects.decodeSetElements(body)).toThrow(MalformedNetlink)
})
