import type { ServiceProtocol } from '../kube/service-port.ts'
import type { Protocol } from '../nftables/datatype.ts'

export type L4 = Extract<Protocol, 'tcp' | 'udp' | 'sctp'>
export const l4Of: Readonly<Record<ServiceProtocol, L4>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' }
