import { expect, test } from 'vitest'
import { describeProxy, type ProxyParts } from './proxy-status.ts'

const problem = { service: 'x/web', slice: 'web-1', field: 'endpoints[0].addresses', problem: 'must not be' }
const index: ProxyParts['index'] = {
  totals: () => ({ services: 3, endpoints: 7, withoutLocalEndpoints: { internal: 0, external: 0 } }),
  problems: () => [problem],
}
const running: ProxyParts = {
  refusal: undefined,
  lastError: undefined,
  isLost: false,
  lastSyncMs: 5,
  index,
  rivals: [],
  closedPorts: [],
  malformed: [],
}

test.each<[what: string, change: Partial<ProxyParts>, expected: object]>([
  ['that has told the kernel everything', {}, { state: 'running', services: 3, endpoints: 7, lastSyncMs: 5 }],
  [
    'that knows nothing yet',
    { index: undefined, lastSyncMs: undefined },
    { state: 'waiting', services: 0, endpoints: 0 },
  ],
  ['that has its first rules on the way to the kernel', { lastSyncMs: undefined }, { state: 'waiting', services: 3 }],
  ['beside a kube-proxy', { refusal: 'no', lastError: 'no' }, { state: 'refused', because: 'no' }],
  ['that the kernel refuses', { lastError: 'EPERM' }, { state: 'failing', because: 'EPERM' }],
  ['whose table was taken away', { isLost: true }, { state: 'failing' }],
])('of a proxy %s', (_what, change, expected) => {
  expect(describeProxy({ ...running, ...change })).toMatchObject(expected)
})

test('all that is wrong is told in sentences, the gravest first', () => {
  const parts = { ...running, rivals: ['table ip kube-proxy'], closedPorts: ['no port'], malformed: ['Service y: odd'] }
  expect(describeProxy(parts).problems).toEqual([
    'kube-proxy is on this node, too: table ip kube-proxy',
    'no port',
    'Service y: odd',
    'Service x/web, EndpointSlice web-1: endpoints[0].addresses: must not be',
  ])
})

test('of very many problems some are told, and how many more there are', () => {
  const malformed = Array.from({ length: 40 }, (_, number) => `Service ${number}`)
  const { problems } = describeProxy({ ...running, malformed })
  expect(problems).toHaveLength(21)
  expect(problems.at(-1)).toBe('21 more: see the agent’s log')
})
