import { describe, expect, it } from 'vitest'
import { decodeProtobufBody } from './protobuf-bodies.ts'

function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes])
}

function body(kind: string, ...fields: readonly Buffer[]): Buffer {
  const typeMeta = Buffer.concat([field(1, 'v1'), field(2, kind)])
  return Buffer.concat([Buffer.from('k8s\0'), field(1, typeMeta), field(2, Buffer.concat(fields))])
}

const metadata = field(1, Buffer.concat([field(1, 'a'), field(3, ''), field(14, 'x/y')]))

describe('a protobuf body', () => {
  it('becomes the object that JSON would have been', () => {
    const entry = field(2, Buffer.concat([field(1, 'key'), field(2, 'value')]))
    expect(decodeProtobufBody(body('ConfigMap', metadata, entry, Buffer.from([4 * 8, 1])))).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', finalizers: ['x/y'] },
      data: { key: 'value' },
      immutable: true,
    })
  })

  it('of a secret has its data in base64', () => {
    const entry = field(2, Buffer.concat([field(1, 'key'), field(2, Buffer.from([0, 255]))]))
    expect(decodeProtobufBody(body('Secret', metadata, entry))).toMatchObject({ data: { key: 'AP8=' } })
  })

  it.each<[string, Buffer, number]>([
    ['of a kind without a table', body('Pod', metadata), 415],
    ['without the magic number', Buffer.from('{}'), 400],
    ['that ends within a number', Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x8a])]), 400],
  ])('%s is refused', (_what, bytes, code) => {
    expect(() => decodeProtobufBody(bytes)).toThrow(expect.objectContaining({ code }) as Error)
  })
})
