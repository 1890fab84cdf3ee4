// Netlink messages as bytes: headers (netlink(7)), attributes (RFC 3549 section 2, linux/netlink.h). Integers are in
// the machine's byte order; every machine this runs on (x86-64, arm64) is little-endian.

export const headerBytes = 16
const attributeHeaderBytes = 4
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER share the type field (linux/netlink.h). */
const attributeTypeMask = 0x3fff

/** One request: what goes behind the header, and the header's type and flags. Sequence numbers are the socket's. */
export interface NetlinkRequest {
  readonly type: number
  readonly flags: number
  readonly body: Uint8Array
}

/** One message that was received; `body` is a view into the datagram. */
export interface NetlinkMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Buffer
}

/** The next multiple of four, for lengths below 2 GiB. */
export const align = (length: number): number => (length + 3) & ~3

/** Builds the body of one message. */
export class BodyWriter {
  #buffer = Buffer.alloc(256)
  #length = 0

  bytes(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
    return this
  }

  attribute(type: number, value: Uint8Array): this {
    const start = this.#length
    this.#reserve(align(attributeHeaderBytes + value.length))
    this.#buffer.writeUInt16LE(attributeHeaderBytes + value.length, start)
    this.#buffer.writeUInt16LE(type, start + 2)
    this.#buffer.set(value, start + attributeHeaderBytes)
    this.#length = start + align(attributeHeaderBytes + value.length)
    return this
  }

  u8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value))
  }

  u32(type: number, value: number): this {
    const start = this.#length
    this.#reserve(8)
    this.#buffer.writeUInt16LE(8, start)
    this.#buffer.writeUInt16LE(type, start + 2)
    this.#buffer.writeUInt32LE(value, start + 4)
    this.#length = start + 8
    return this
  }

  /** Text with the closing zero byte that the kernel's NLA_NUL_STRING policy wants. */
  text(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`))
  }

  nested(type: number, fill: (writer: this) => void): this {
    const start = this.#length
    this.#reserve(attributeHeaderBytes)
    this.#length += attributeHeaderBytes
    fill(this)
    this.#buffer.writeUInt16LE(this.#length - start, start)
    this.#buffer.writeUInt16LE(type, start + 2)
    return this
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.alloc((this.#buffer.length + bytes) * 2)
    larger.set(this.#buffer)
    this.#buffer = larger
  }
}

/** Puts requests into one datagram, numbered from `firstSequence`. */
export function encodeRequests(requests: readonly NetlinkRequest[], firstSequence: number, lastFlags: number): Buffer {
  const total = requests.reduce((sum, { body }) => sum + align(headerBytes + body.length), 0)
  const datagram = Buffer.alloc(total)
  let offset = 0
  requests.forEach(({ type, flags, body }, index) => {
    const length = headerBytes + body.length
    datagram.writeUInt32LE(length, offset)
    datagram.writeUInt16LE(type, offset + 4)
    datagram.writeUInt16LE(index === requests.length - 1 ? flags | lastFlags : flags, offset + 6)
    datagram.writeUInt32LE((firstSequence + index) >>> 0, offset + 8)
    datagram.set(body, offset + headerBytes)
    offset += align(length)
  })
  return datagram
}

/** A datagram that is not what the kernel sends: a bug of ours or of the buffer's size, never an expected outcome. */
export class MalformedNetlink extends Error {
  override readonly name = 'MalformedNetlink'
}

export function* decodeMessages(datagram: Buffer): Generator<NetlinkMessage> {
  let offset = 0
  while (offset < datagram.length) {
    if (datagram.length - offset < headerBytes) throw new MalformedNetlink('a message header is cut off')
    const length = datagram.readUInt32LE(offset)
    if (length < headerBytes || length > datagram.length - offset) {
      throw new MalformedNetlink(`a message claims ${length} bytes where ${datagram.length - offset} are left`)
    }
    yield {
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      sequence: datagram.readUInt32LE(offset + 8),
      body: datagram.subarray(offset + headerBytes, offset + length),
    }
    offset += align(length)
  }
}

/** Attributes by type; of a repeated one the last counts, as in the kernel's nla_parse. */
export class Attributes {
  readonly #values: ReadonlyMap<number, Buffer>

  private constructor(values: ReadonlyMap<number, Buffer>) {
    this.#values = values
  }

  static decode(bytes: Buffer): Attributes {
    const values = new Map<number, Buffer>()
    let offset = 0
    while (bytes.length - offset >= attributeHeaderBytes) {
      const length = bytes.readUInt16LE(offset)
      if (length < attributeHeaderBytes || length > bytes.length - offset) {
        throw new MalformedNetlink(`an attribute claims ${length} bytes where ${bytes.length - offset} are left`)
      }
      const type = bytes.readUInt16LE(offset + 2) & attributeTypeMask
      values.set(type, bytes.subarray(offset + attributeHeaderBytes, offset + length))
      offset += align(length)
    }
    return new Attributes(values)
  }

  types(): readonly number[] {
    return [...this.#values.keys()]
  }

  bytes(type: number): Buffer | undefined {
    return this.#values.get(type)
  }

  u8(type: number): number | undefined {
    return this.#sized(type, 1)?.readUInt8(0)
  }

  u16(type: number): number | undefined {
    return this.#sized(type, 2)?.readUInt16LE(0)
  }

  u32(type: number): number | undefined {
    return this.#sized(type, 4)?.readUInt32LE(0)
  }

  text(type: number): string | undefined {
    const value = this.#values.get(type)
    if (value === undefined) return undefined
    const end = value.indexOf(0)
    return value.toString('utf8', 0, end < 0 ? value.length : end)
  }

  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type)
    return value === undefined ? undefined : Attributes.decode(value)
  }

  #sized(type: number, bytes: number): Buffer | undefined {
    const value = this.#values.get(type)
    if (value !== undefined && value.length < bytes) {
      throw new MalformedNetlink(`attribute ${type} has ${value.length} bytes, not ${bytes}`)
    }
    return value
  }
}

/** The fixed part in front of a message's attributes; a shorter body is malformed. */
export function splitBody(body: Buffer, fixedBytes: number): readonly [fixed: Buffer, attributes: Attributes] {
  if (body.length < fixedBytes) throw new MalformedNetlink(`a body of ${body.length} bytes where ${fixedBytes} are due`)
  return [body.subarray(0, fixedBytes), Attributes.decode(body.subarray(align(fixedBytes)))]
}
