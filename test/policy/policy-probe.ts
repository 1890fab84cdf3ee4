// The first packet of a flow of any protocol, and how it is told from others where it arrives.
import { ipFromBytes } from '../../src/base/ip.ts'
import type { Packet } from '../../src/policy/naive-model.fixture.ts'
import { echoRequest, readProbe, writeProbe } from '../services/probe-packet.ts'

export interface ProbeFlow extends Packet {
  readonly source: string
  /** Of ICMP: the identifier. */
  readonly sourcePort: number
  readonly destination: string
}

const icmpProtocol = 1
const echoType = 8

export function probePacket({ protocol, port, ...ends }: ProbeFlow): Buffer {
  if (protocol === 'ICMP') return echoRequest(ends.source, ends.destination, ends.sourcePort)
  return writeProbe({ kind: 'question', flow: { protocol, ...ends, destinationPort: port } })
}

/** In words that no two probes share; undefined for what is none, answers included. */
export function readProbePacket(packet: Buffer): string | undefined {
  if (packet[9] === icmpProtocol && packet[20] === echoType) {
    const [source, destination] = [packet.subarray(12, 16), packet.subarray(16, 20)].map((part) => ipFromBytes(part))
    return `ICMP ${source} ${packet.readUInt16BE(24)} ${destination}`
  }
  const probe = readProbe(packet)
  if (probe?.kind !== 'question') return undefined
  const { protocol, source, sourcePort, destination, destinationPort } = probe.flow
  return `${protocol} ${source}:${sourcePort} ${destination}:${destinationPort}`
}
