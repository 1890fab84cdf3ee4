import { familyOf, ipToBytes, type Ip, type IpFamily } from '../../base/ip.ts'
import { decodeIp } from './inet.ts'
import { NLA_F_NESTED, u16Bytes, u16Of } from './nfnetlink.ts'
import { type Attributes, type BodyWriter, MalformedNetlink } from './wire.ts'

// One direction of a connection: CTA_TUPLE_ORIG and CTA_TUPLE_REPLY (linux/netfilter/nfnetlink_conntrack.h).

const CTA_TUPLE_IP = 1
const CTA_TUPLE_PROTO = 2
const CTA_TUPLE_ZONE = 3
const CTA_IP_V4_SRC = 1
const CTA_IP_V6_SRC = 3
const CTA_PROTO_NUM = 1
const CTA_PROTO_SRC_PORT = 2
const CTA_PROTO_DST_PORT = 3
/** The identifier; type and code are the next two. */
const icmpAttribute: Readonly<Record<IpFamily, number>> = { 4: 4, 6: 7 }

/** IPPROTO_*, linux/in.h */
export const protocolNumbers = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const
/** 'icmp' in both families. */
export type ConntrackProtocol = 'tcp' | 'udp' | 'sctp' | 'icmp' | 'other'

const protocolNames = new Map<number, ConntrackProtocol>([
  [protocolNumbers.tcp, 'tcp'],
  [protocolNumbers.udp, 'udp'],
  [protocolNumbers.sctp, 'sctp'],
  [protocolNumbers.icmp, 'icmp'],
  [protocolNumbers.icmpv6, 'icmp'],
])

/** Where the packets of one direction come from and go to. Ports are 0 where the protocol has none, GRE's are its keys. */
export interface ConntrackTuple {
  readonly source: Ip
  readonly destination: Ip
  readonly sourcePort: number
  readonly destinationPort: number
  /** Of an ICMP query and its answer, which have no ports. */
  readonly icmp?: IcmpQuery
  /** A conntrack zone of this direction alone; that of both is the entry's. */
  readonly zone?: number
}

export interface IcmpQuery {
  readonly id: number
  readonly type: number
  readonly code: number
}

export function protocolOf(protocolNumber: number): ConntrackProtocol {
  return protocolNames.get(protocolNumber) ?? 'other'
}

export function decodeTuple(
  tuple: Attributes | undefined,
  family: IpFamily,
): readonly [protocolNumber: number, tuple: ConntrackTuple] {
  const addresses = tuple?.nested(CTA_TUPLE_IP)
  const transport = tuple?.nested(CTA_TUPLE_PROTO)
  const sourceType = family === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC
  const source = addresses?.bytes(sourceType)
  const destination = addresses?.bytes(sourceType + 1)
  const number = transport?.u8(CTA_PROTO_NUM)
  if (tuple === undefined || transport === undefined || number === undefined) {
    throw new MalformedNetlink('a conntrack tuple has no protocol')
  }
  if (source === undefined || destination === undefined) {
    throw new MalformedNetlink(`a conntrack tuple has no IPv${family} addresses`)
  }
  const icmp = protocolOf(number) === 'icmp' ? decodeIcmp(transport, family) : undefined
  const zone = u16Of(tuple, CTA_TUPLE_ZONE)
  return [
    number,
    {
      source: decodeIp(source, family),
      destination: decodeIp(destination, family),
      sourcePort: u16Of(transport, CTA_PROTO_SRC_PORT) ?? 0,
      destinationPort: u16Of(transport, CTA_PROTO_DST_PORT) ?? 0,
      ...(icmp !== undefined && { icmp }),
      ...(zone !== undefined && { zone }),
    },
  ]
}

/** Writes the tuple as the attribute `type`. */
export function writeTuple(writer: BodyWriter, type: number, protocolNumber: number, tuple: ConntrackTuple): void {
  const family = familyOf(tuple.source)
  const sourceType = family === 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC
  writer.nested(type | NLA_F_NESTED, (inTuple) => {
    inTuple.nested(CTA_TUPLE_IP | NLA_F_NESTED, (inAddresses) => {
      inAddresses.attribute(sourceType, ipToBytes(tuple.source))
      inAddresses.attribute(sourceType + 1, ipToBytes(tuple.destination))
    })
    inTuple.nested(CTA_TUPLE_PROTO | NLA_F_NESTED, (inTransport) => {
      inTransport.u8(CTA_PROTO_NUM, protocolNumber)
      if (tuple.icmp !== undefined) {
        writeIcmp(inTransport, family, tuple.icmp)
      } else {
        // Of protocols that have none the kernel reads none (ctnetlink_parse_tuple_proto).
        inTransport.attribute(CTA_PROTO_SRC_PORT, u16Bytes(tuple.sourcePort))
        inTransport.attribute(CTA_PROTO_DST_PORT, u16Bytes(tuple.destinationPort))
      }
    })
    if (tuple.zone !== undefined) inTuple.attribute(CTA_TUPLE_ZONE, u16Bytes(tuple.zone))
  })
}

/** For a filter: a tuple of which only the protocol counts. */
export function writeProtocol(writer: BodyWriter, type: number, protocolNumber: number): void {
  writer.nested(type | NLA_F_NESTED, (inTuple) => {
    inTuple.nested(CTA_TUPLE_PROTO | NLA_F_NESTED, (inTransport) => inTransport.u8(CTA_PROTO_NUM, protocolNumber))
  })
}

function decodeIcmp(transport: Attributes, family: IpFamily): IcmpQuery {
  const first = icmpAttribute[family]
  return {
    id: u16Of(transport, first) ?? 0,
    type: transport.u8(first + 1) ?? 0,
    code: transport.u8(first + 2) ?? 0,
  }
}

function writeIcmp(writer: BodyWriter, family: IpFamily, { id, type, code }: IcmpQuery): void {
  const first = icmpAttribute[family]
  writer.u8(first + 2, code)
  writer.u8(first + 1, type)
  writer.attribute(first, u16Bytes(id))
}
