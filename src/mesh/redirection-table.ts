import type { Chain, Table } from '../nftables/model.ts'
import type { TableName } from '../nftables/render.ts'
import { dnsChains } from './dns-rules.ts'
import { inboundChains } from './inbound-rules.ts'
import { outboundChains } from './outbound-rules.ts'
import type { Redirection } from './redirection.ts'
import { redirectionSets } from './redirection-sets.ts'

/** In the pod's own network namespace. */
export const meshTableName = { family: 'inet', name: 'vcn-mesh' } as const satisfies TableName

/** All rules of a pod's redirection, of both families. TCP, and with a port for DNS port 53 of UDP; nothing else is touched. */
export function redirectionTable(redirection: Redirection): Table {
  return {
    ...meshTableName,
    sets: redirectionSets(redirection),
    chains: new Map<string, Chain>([
      ...inboundChains(redirection),
      ...outboundChains(redirection),
      ...dnsChains(redirection),
    ]),
  }
}
