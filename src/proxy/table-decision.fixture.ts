import { cidrContains } from '../base/cidr.ts'
import { isIpv4, parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import type { Decision, Packet } from './manifests.fixture.ts'
import { type Frontend, frontendKey, type ServiceTable } from './service-table.ts'

/** What a kernel that does as the table says would do to the packet: what a planner has to turn into rules. */
export function decideByTable(table: ServiceTable, packet: Packet): Decision {
  const frontend = find(table, packet)
  if (frontend === undefined) return { kind: 'pass' }
  if (frontend.sources !== undefined && !isAdmitted(frontend.sources, packet)) return { kind: 'drop' }
  const isInside = packet.from === 'podLocal' || packet.from === 'host'
  const target = isInside ? frontend.inside : frontend.outside
  if (target.kind !== 'forward') return { kind: target.kind }
  const isMasqueraded = masquerades(frontend, packet)
  return {
    kind: 'forward',
    to: target.endpoints.map(({ address, port }) => {
      // The node's own programs get packets that do not pass postrouting.
      const isHere = packet.from !== 'host' && table.nodePortAddresses.includes(address)
      const isChanged = !isHere && (isMasqueraded || address === packet.source)
      return { endpoint: `${address}:${port}`, sourceSeen: isChanged ? 'masqueraded' : 'own' }
    }),
    ...(frontend.affinityTimeoutSeconds !== undefined && { affinitySeconds: frontend.affinityTimeoutSeconds }),
  }
}

function find(table: ServiceTable, { destination, protocol, port }: Packet): Frontend | undefined {
  const address = unwrap(parseIpv4(destination))
  const byAddress = table.frontends.get(frontendKey({ kind: 'address', address }, protocol, port))
  if (byAddress !== undefined || !table.nodePortAddresses.includes(address)) return byAddress
  return table.frontends.get(frontendKey({ kind: 'node' }, protocol, port))
}

function isAdmitted(sources: NonNullable<Frontend['sources']>, { source }: Packet): boolean {
  const address = unwrap(parseIpv4(source))
  return sources.some(({ address: first, prefixLength }) => {
    return isIpv4(first) && cidrContains({ address: first, prefixLength }, address)
  })
}

function masquerades({ masquerade }: Frontend, { from }: Packet): boolean {
  switch (masquerade) {
    case 'all':
      return true
    case 'host':
      return from === 'host'
    case 'outside':
      return from === 'podRemote' || from === 'external'
  }
}
