// The first packets of conversations, written and read byte by byte: a SYN, a datagram or an SCTP INIT, and what answers it.
import { ipFromBytes, ipToBytes, parseIpv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { protocolNumbers } from '../../src/linux/netlink/conntrack-tuple.ts'
import type { Packet } from '../../src/proxy/manifests.fixture.ts'

export interface Flow {
  readonly protocol: Packet['protocol']
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
}

/**
 * `answer`: SYN ACK, a datagram back, INIT ACK. `refusal`: a reset, or ICMP port unreachable about the flow it quotes.
 * `stray`, of TCP only: a segment far beyond every window.
 */
export type ProbeKind = 'question' | 'answer' | 'refusal' | 'stray'
export interface Probe {
  readonly kind: ProbeKind
  /** As the packet goes; of a refusal, that of the packet that is refused. */
  readonly flow: Flow
}
export interface ReadProbe extends Probe {
  /** Its checksums are right, which they need not be on a loopback. */
  readonly isIntact: boolean
}

const ipHeaderBytes = 20
const numbers: Readonly<Record<Packet['protocol'], number>> = {
  TCP: protocolNumbers.tcp,
  UDP: protocolNumbers.udp,
  SCTP: protocolNumbers.sctp,
}
// RFC 9293 section 3.1, RFC 9260 section 3.3.2 and 3.3.3, RFC 792.
const SYN = 0x02
const RST = 0x04
const ACK = 0x10
const INIT = 1
const INIT_ACK = 2
const STATE_COOKIE = 7
const PORT_UNREACHABLE = 0x0303
const ECHO = 8
/** Both sides' sequence number and verification tag. */
const tag = 0x5ca1ab1e
const farAway = 0x4000_0000

export function turned({ protocol, source, sourcePort, destination, destinationPort }: Flow): Flow {
  return {
    protocol,
    source: destination,
    sourcePort: destinationPort,
    destination: source,
    destinationPort: sourcePort,
  }
}

export function writeProbe({ kind, flow }: Probe): Buffer {
  const isAnswer = kind === 'answer'
  const bodies = {
    TCP: () => tcpSegment(flow, kind),
    UDP: () => udpDatagram(flow, isAnswer),
    SCTP: () => sctpPacket(flow, isAnswer),
  }
  return withIpHeader(numbers[flow.protocol], flow.source, flow.destination, bodies[flow.protocol]())
}

/** An ICMP echo request (RFC 792). */
export function echoRequest(source: string, destination: string, identifier: number): Buffer {
  const body = Buffer.alloc(8)
  body.writeUInt8(ECHO, 0)
  body.writeUInt16BE(identifier, 4)
  body.writeUInt16BE(internetChecksum(body), 2)
  return withIpHeader(protocolNumbers.icmp, source, destination, body)
}

/** Undefined: something else. */
export function readProbe(packet: Buffer): ReadProbe | undefined {
  if (packet.readUInt8(0) >> 4 !== 4) return undefined
  const body = packet.subarray(ipHeaderBytes)
  const isHeaderIntact = internetChecksum(packet.subarray(0, ipHeaderBytes)) === 0
  if (packet[9] === protocolNumbers.icmp) {
    const flow = body.readUInt16BE(0) === PORT_UNREACHABLE ? flowOf(body.subarray(8)) : undefined
    return flow && { kind: 'refusal', flow, isIntact: isHeaderIntact && internetChecksum(body) === 0 }
  }
  const flow = flowOf(packet)
  if (flow === undefined) return undefined
  const kind = kinds[flow.protocol](body)
  if (kind === undefined) return undefined
  const isIntact = isHeaderIntact && isBodyIntact(flow, body)
  return { kind, flow: kind === 'refusal' ? turned(flow) : flow, isIntact }
}

const kinds: Readonly<Record<Packet['protocol'], (body: Buffer) => ProbeKind | undefined>> = {
  TCP(body) {
    const flags = body.readUInt8(13)
    if ((flags & RST) !== 0) return 'refusal'
    if (flags === SYN) return 'question'
    if (flags === ACK) return 'stray'
    return flags === (SYN | ACK) ? 'answer' : undefined
  },
  UDP: (body) => (body.toString('latin1', 8) === 'question' ? 'question' : 'answer'),
  SCTP(body) {
    const type = body.readUInt8(12)
    if (type === INIT) return 'question'
    return type === INIT_ACK ? 'answer' : undefined
  },
}

function flowOf(packet: Buffer): Flow | undefined {
  const protocol = (['TCP', 'UDP', 'SCTP'] as const).find((name) => numbers[name] === packet[9])
  if (protocol === undefined) return undefined
  return {
    protocol,
    source: ipFromBytes(packet.subarray(12, 16)),
    sourcePort: packet.readUInt16BE(ipHeaderBytes),
    destination: ipFromBytes(packet.subarray(16, 20)),
    destinationPort: packet.readUInt16BE(ipHeaderBytes + 2),
  }
}

function withIpHeader(protocol: number, source: string, destination: string, body: Buffer): Buffer {
  const header = Buffer.alloc(ipHeaderBytes)
  header.writeUInt8(0x45, 0)
  header.writeUInt16BE(ipHeaderBytes + body.length, 2)
  header.writeUInt8(64, 8)
  header.writeUInt8(protocol, 9)
  addressBytes(source).copy(header, 12)
  addressBytes(destination).copy(header, 16)
  header.writeUInt16BE(internetChecksum(header), 10)
  return Buffer.concat([header, body])
}

function ports({ sourcePort, destinationPort }: Flow, bytes: number): Buffer {
  const body = Buffer.alloc(bytes)
  body.writeUInt16BE(sourcePort, 0)
  body.writeUInt16BE(destinationPort, 2)
  return body
}

const tcpFlags: Readonly<Record<ProbeKind, number>> = { question: SYN, answer: SYN | ACK, refusal: RST, stray: ACK }

function tcpSegment(flow: Flow, kind: ProbeKind): Buffer {
  const body = ports(flow, 20)
  const flags = tcpFlags[kind]
  body.writeUInt32BE(kind === 'stray' ? tag + farAway : tag, 4)
  body.writeUInt32BE((flags & ACK) === 0 ? 0 : tag + 1, 8)
  body.writeUInt8(5 << 4, 12)
  body.writeUInt8(flags, 13)
  body.writeUInt16BE(65_535, 14)
  body.writeUInt16BE(internetChecksum(pseudoHeader(flow, body.length), body), 16)
  return body
}

function udpDatagram(flow: Flow, isAnswer: boolean): Buffer {
  const payload = Buffer.from(isAnswer ? 'answer' : 'question')
  const body = Buffer.concat([ports(flow, 8), payload])
  body.writeUInt16BE(body.length, 4)
  // Zero would say that there is none.
  const checksum = internetChecksum(pseudoHeader(flow, body.length), body)
  body.writeUInt16BE(checksum === 0 ? 0xffff : checksum, 6)
  return body
}

function sctpPacket(flow: Flow, isAnswer: boolean): Buffer {
  const cookie = isAnswer ? Buffer.from([0, STATE_COOKIE, 0, 8, 1, 2, 3, 4]) : Buffer.alloc(0)
  const chunk = Buffer.alloc(20)
  chunk.writeUInt8(isAnswer ? INIT_ACK : INIT, 0)
  chunk.writeUInt16BE(chunk.length + cookie.length, 2)
  chunk.writeUInt32BE(tag, 4)
  chunk.writeUInt32BE(65_535, 8)
  chunk.writeUInt16BE(1, 12)
  chunk.writeUInt16BE(1, 14)
  const header = ports(flow, 12)
  header.writeUInt32BE(isAnswer ? tag : 0, 4)
  const body = Buffer.concat([header, chunk, cookie])
  body.writeUInt32LE(crc32c(body), 8)
  return body
}

function isBodyIntact(flow: Flow, body: Buffer): boolean {
  if (flow.protocol !== 'SCTP') return internetChecksum(pseudoHeader(flow, body.length), body) === 0
  const unsigned = Buffer.from(body)
  unsigned.writeUInt32LE(0, 8)
  return crc32c(unsigned) === body.readUInt32LE(8)
}

function pseudoHeader({ protocol, source, destination }: Flow, length: number): Buffer {
  const rest = Buffer.from([0, numbers[protocol], length >> 8, length & 255])
  return Buffer.concat([addressBytes(source), addressBytes(destination), rest])
}

function addressBytes(address: string): Buffer {
  return ipToBytes(unwrap(parseIpv4(address)))
}

/** RFC 1071. Of something that has its checksum in it: 0. All parts but the last have an even length. */
function internetChecksum(...parts: readonly Buffer[]): number {
  let sum = 0
  for (const part of parts) for (const [index, byte] of part.entries()) sum += index % 2 === 0 ? byte << 8 : byte
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

/** RFC 9260 appendix A. The sum goes on the wire least significant byte first. */
function crc32c(bytes: Buffer): number {
  let sum = 0xffff_ffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum & 1) === 0 ? sum >>> 1 : (sum >>> 1) ^ 0x82f6_3b78
  }
  return ~sum >>> 0
}
