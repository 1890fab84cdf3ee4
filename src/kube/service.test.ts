import { describe, expect, test } from 'vitest'
import { formatCidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import { formatFieldErrors } from '../base/schema.ts'
import { parseService, type Service } from './service.ts'

const metadata = { name: 'web', namespace: 'x', creationTimestamp: '2026-01-01T00:00:00Z' }

function parse(spec: object, status: object = {}): Service {
  return unwrap(parseService({ metadata, spec, status }))
}

test('a Service with everything a proxy needs, among what it does not', () => {
  const service = parse(
    {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1', 'FD00:0::1'],
      ipFamilies: ['IPv4', 'IPv6'],
      selector: { app: 'web' },
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, targetPort: 'web', nodePort: 30_001 },
        { port: 53, protocol: 'UDP' },
      ],
      externalIPs: ['203.0.113.1'],
      loadBalancerSourceRanges: [' 192.0.2.7/24', '2001:db8::1/32'],
      externalTrafficPolicy: 'Local',
      internalTrafficPolicy: 'Local',
      healthCheckNodePort: 32_000,
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 600 } },
    },
    {
      loadBalancer: { ingress: [{ ip: '198.51.100.1', ipMode: 'Proxy' }, { ip: '198.51.100.2' }, { hostname: 'lb' }] },
    },
  )
  expect(service).toMatchObject({
    type: 'LoadBalancer',
    headless: false,
    clusterIps: ['10.96.0.1', 'fd00::1'],
    externalIps: ['203.0.113.1'],
    loadBalancerIngress: [
      { address: '198.51.100.1', mode: 'Proxy' },
      { address: '198.51.100.2', mode: 'VIP' },
    ],
    ports: [
      { name: 'http', protocol: 'TCP', port: 80, nodePort: 30_001 },
      { name: '', protocol: 'UDP', port: 53 },
    ],
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Local',
    healthCheckNodePort: 32_000,
    affinityTimeoutSeconds: 600,
    problems: [],
  })
  expect(service.loadBalancerSourceRanges.blocks.map(formatCidr)).toEqual(['192.0.2.0/24', '2001:db8::/32'])
  expect(service.loadBalancerSourceRanges.incomplete).toBe(false)
})

test.each([
  ['None', { clusterIP: 'None', clusterIPs: ['None'] }, true],
  ['empty', { clusterIP: '' }, true],
  ['absent, as of ExternalName', { type: 'ExternalName', externalName: 'db.example' }, true],
  ['only in the list', { clusterIPs: ['10.96.0.1'] }, false],
  ['only in the single field', { clusterIP: '10.96.0.1' }, false],
])('a cluster IP that is %s', (_which, spec, headless) => {
  expect(parse(spec)).toMatchObject({ headless, clusterIps: headless ? [] : ['10.96.0.1'], problems: [] })
})

test('what Go writers leave empty is absent', () => {
  const service = parse(
    {
      clusterIP: '10.96.0.1',
      ports: [{ port: 80, nodePort: 0 }],
      externalIPs: null,
      healthCheckNodePort: 0,
      sessionAffinity: '',
    },
    { loadBalancer: {} },
  )
  expect(service.problems.map(({ field }) => field)).toEqual(['spec.sessionAffinity'])
  expect(service.ports).toEqual([{ name: '', protocol: 'TCP', port: 80 }])
  expect(service).not.toHaveProperty('healthCheckNodePort')
  expect(service).not.toHaveProperty('affinityTimeoutSeconds')
})

describe('of a Service with', () => {
  const good = { clusterIP: '10.96.0.1', ports: [{ port: 80 }] }
  const rows: readonly (readonly [string, object, string, Partial<Service>])[] = [
    [
      'a port 0',
      { ports: [{ port: 0 }, { port: 81 }] },
      'spec.ports[0].port: must be a whole number from 1 to 65535 (got 0)',
      { ports: [{ name: '', protocol: 'TCP', port: 81 }] },
    ],
    [
      'an unknown protocol',
      { ports: [{ port: 80, protocol: 'ICMP' }, { port: 81 }] },
      'spec.ports[0].protocol: must be TCP, UDP, SCTP',
      { ports: [{ name: '', protocol: 'TCP', port: 81 }] },
    ],
    [
      'a node port too high',
      { ports: [{ port: 80, nodePort: 70_000 }] },
      'spec.ports[0].nodePort: must be a whole number from 1 to 65535 (got 70000)',
      { ports: [{ name: '', protocol: 'TCP', port: 80 }] },
    ],
    ['ports that are no list', { ports: 'http' }, 'spec.ports: must be a list', { ports: [] }],
    [
      'a cluster IP that is none',
      { clusterIP: 'banana' },
      'spec.clusterIP: "banana" is not an IP address',
      { headless: false, clusterIps: [] },
    ],
    [
      'a loopback cluster IP',
      { clusterIP: '127.0.0.1' },
      'spec.clusterIP: "127.0.0.1" is loopback',
      { clusterIps: [] },
    ],
    [
      'the metadata service as external IP',
      { externalIPs: ['169.254.169.254', '203.0.113.1'] },
      'spec.externalIPs[0]: "169.254.169.254" is link-local',
      { externalIps: parse({ externalIPs: ['203.0.113.1'] }).externalIps },
    ],
    [
      'an unknown type',
      { type: 'Odd' },
      'spec.type: must be ClusterIP, NodePort, LoadBalancer, ExternalName',
      { type: 'ClusterIP' },
    ],
    [
      'an unknown policy',
      { externalTrafficPolicy: 'Odd' },
      'spec.externalTrafficPolicy: must be Cluster or Local',
      { externalTrafficPolicy: 'Cluster' },
    ],
    [
      'an affinity of 0 s',
      { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } },
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: must be a whole number from 1 to 86400 (got 0)',
      { affinityTimeoutSeconds: 10_800 },
    ],
    [
      'an unreadable source range',
      { loadBalancerSourceRanges: ['x/8'] },
      'spec.loadBalancerSourceRanges[0]: "x/8" is not a block of addresses',
      { loadBalancerSourceRanges: { blocks: [], incomplete: true } },
    ],
  ]
  test.each(rows)('%s only that is lost, and told', (_what, spec, problem, rest) => {
    const service = parse({ ...good, ...spec })
    expect(formatFieldErrors(service.problems)).toContain(problem)
    expect(service.problems).toHaveLength(1)
    expect(service).toMatchObject(rest)
  })

  test('a broken status only the load balancer is lost', () => {
    const service = parse(good, { loadBalancer: { ingress: [{ ip: 'x' }, { ip: '198.51.100.1' }, 7] } })
    expect(service.loadBalancerIngress).toEqual([{ address: '198.51.100.1', mode: 'VIP' }])
    expect(service.problems.map(({ field }) => field)).toEqual([
      'status.loadBalancer.ingress[0].ip',
      'status.loadBalancer.ingress[2]',
    ])
  })

  test('no name all is lost', () => {
    expect(parseService({ metadata: {}, spec: good }).ok).toBe(false)
  })
})
