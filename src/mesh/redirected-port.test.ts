import { expect, it } from 'vitest'
import { parseIpv4 } from '../base/ip.ts'
import { unwrap } from '../base/result.ts'
import { decideRedirection } from './decide-redirection.ts'
import { type OutwardConnection, portRedirectedTo } from './redirected-port.ts'
import { meshPod } from './redirections.fixture.ts'

const probe: OutwardConnection = { address: unwrap(parseIpv4('192.0.2.2')), port: 1404, ifname: 'eth0', uid: 0, gid: 0 }
const ports = { 'inbound-port': '9006', 'outbound-port': '9001', 'proxy-uid': '1500' }

function portFor(annotations: Readonly<Record<string, string>>, connection: OutwardConnection): number | undefined {
  const own = Object.entries({ profile: 'generic', ...ports, ...annotations })
  const pod = meshPod(Object.fromEntries(own.map(([name, value]) => [`mesh.vcn-cni.io/${name}`, value])))
  const decision = unwrap(decideRedirection(pod, { chainedTypes: [], excludedNamespaces: [] }))
  if (decision.kind === 'none') throw new Error(decision.because)
  return portRedirectedTo(decision.redirection, connection)
}

it.each<[string, number | undefined, Readonly<Record<string, string>>, Partial<OutwardConnection>?]>([
  ['everything', 9001, {}],
  ['not what the sidecar sends', undefined, {}, { uid: 1500 }],
  ['not what its group sends', undefined, { 'proxy-gid': '1501' }, { gid: 1501 }],
  ['not what goes by an excluded interface', undefined, { 'exclude-interfaces': 'eth0' }],
  ['not an excluded port', undefined, { 'exclude-outbound-ports': '1400-1410' }],
  ['the port behind it', 9001, { 'exclude-outbound-ports': '1400-1403' }],
  ['not an excluded address', undefined, { 'exclude-outbound-cidrs': 'fd00::/8,192.0.2.0/24' }],
  ['not an address beside the included ones', undefined, { 'include-outbound-cidrs': '10.96.0.0/12' }],
  [
    'an included port of any address',
    9001,
    { 'include-outbound-cidrs': '10.96.0.0/12', 'include-outbound-ports': '*' },
  ],
  [
    'not an included port of an excluded address',
    undefined,
    { 'include-outbound-ports': '1404', 'exclude-outbound-cidrs': '192.0.2.2' },
  ],
])('%s', (_, port, annotations, connection = {}) => {
  expect(portFor(annotations, { ...probe, ...connection })).toBe(port)
})
