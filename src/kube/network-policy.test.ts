import { describe, expect, test } from 'vitest'
import { formatCidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import { formatFieldErrors } from '../base/schema.ts'
import { type NetworkPolicy, type NetworkPolicyPeer, parseNetworkPolicy } from './network-policy.ts'

const metadata = { name: 'web', namespace: 'shop' }

function parse(spec: unknown): NetworkPolicy {
  return unwrap(parseNetworkPolicy({ metadata, spec }))
}

test('a policy with all that there is, among what does not matter', () => {
  const policy = parse({
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Ingress', 'Egress'],
    ingress: [
      {
        from: [
          { podSelector: { matchLabels: { app: 'api' } } },
          { namespaceSelector: {}, podSelector: { matchLabels: { app: 'mon' } } },
          { namespaceSelector: { matchLabels: { team: 'a' } } },
          { ipBlock: { cidr: '10.0.0.7/8', except: ['10.1.0.0/16', '10.2.0.0/16'] } },
          { ipBlock: { cidr: 'FD00::/8', except: ['fd01::/16'] } },
        ],
        ports: [{ port: 80 }, { protocol: 'UDP', port: 'dns' }, { protocol: 'SCTP' }, { port: 8000, endPort: 8080 }],
      },
    ],
    egress: [{}],
  })
  expect(policy.problems).toEqual([])
  expect(policy.podSelector.text).toBe('app in (web)')
  expect(policy.egress).toEqual([{ peers: 'any', ports: 'any' }])
  const rule = policy.ingress?.[0]
  expect(rule?.peers === 'any' ? [] : rule?.peers.map(peerWords)).toEqual([
    'pods app in (api)',
    'pods app in (mon) of namespaces all',
    'pods all of namespaces team in (a)',
    '10.0.0.0/8 except 10.1.0.0/16 10.2.0.0/16',
    'fd00::/8 except fd01::/16',
  ])
  expect(rule?.ports).toEqual([
    { kind: 'range', protocol: 'TCP', first: 80, last: 80 },
    { kind: 'named', protocol: 'UDP', name: 'dns' },
    { kind: 'range', protocol: 'SCTP', first: 0, last: 65_535 },
    { kind: 'range', protocol: 'TCP', first: 8000, last: 8080 },
  ])
})

describe('the directions that are isolated by', () => {
  const some = [{}]
  const rows: readonly (readonly [string, object, readonly string[]])[] = [
    ['nothing but a selector', {}, ['ingress']],
    ['empty rules', { ingress: [], egress: [] }, ['ingress']],
    ['egress rules', { egress: some }, ['ingress', 'egress']],
    ['a type alone', { policyTypes: ['Egress'] }, ['egress']],
    ['a type, whatever other rules there are', { policyTypes: ['Egress'], ingress: some }, ['egress']],
    ['both types', { policyTypes: ['Ingress', 'Egress'] }, ['ingress', 'egress']],
    ['an empty list of types', { policyTypes: [], egress: some }, ['ingress', 'egress']],
    ['an unknown type, as if there were none', { policyTypes: ['Forward'], egress: some }, ['ingress', 'egress']],
    ['an unknown type beside a known one', { policyTypes: ['Forward', 'Egress'] }, ['ingress', 'egress']],
    ['egress rules that are no list', { egress: 'all' }, ['ingress', 'egress']],
  ]
  test.each(rows)('%s', (_name, spec, expected) => {
    const policy = parse(spec)
    expect(['ingress', 'egress'].filter((direction) => direction in policy)).toEqual(expected)
  })
})

describe('allows nothing, and says why, a rule with', () => {
  const from = (peer: unknown): object => ({ ingress: [{ from: [peer] }] })
  const port = (one: unknown): object => ({ ingress: [{ ports: [one] }] })
  const block = (ipBlock: unknown): object => from({ ipBlock })
  const peerSentence = 'must have either podSelector and namespaceSelector, one or both, or ipBlock'
  const rows: readonly (readonly [string, object, string])[] = [
    ['an empty peer', from({}), `spec.ingress[0].from[0]: ${peerSentence}`],
    ['a peer that is everything at once', from({ podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } }), peerSentence],
    [
      'a peer of the future',
      from({ podSelector: {}, serviceAccountSelector: {} }),
      'spec.ingress[0].from[0].serviceAccountSelector: is not a known field',
    ],
    ['peers that are no list', { ingress: [{ from: { podSelector: {} } }] }, 'spec.ingress[0].from: must be a list'],
    [
      'a selector that is not complete',
      from({ podSelector: { matchExpressions: [{ key: 'a', operator: 'Gt' }] } }),
      'spec.ingress[0].from[0].podSelector.matchExpressions[0].operator: must be In, NotIn, Exists, DoesNotExist',
    ],
    ['no block', block({ cidr: '10.0.0/8' }), '"10.0.0/8" is not a block of addresses such as 203.0.113.0/24'],
    [
      'an exception outside of its block',
      block({ cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] }),
      'spec.ingress[0].from[0].ipBlock.except[0]: "11.0.0.0/16" must be a part of the block 10.0.0.0/8',
    ],
    [
      'an exception of all of its block',
      block({ cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] }),
      'must be a part of the block 10.0.0.0/8',
    ],
    [
      'an exception that cannot be read',
      block({ cidr: '10.0.0.0/8', except: ['10.0.0.1'] }),
      'spec.ingress[0].from[0].ipBlock.except[0]: "10.0.0.1" is not a block',
    ],
    ['an unknown protocol', port({ protocol: 'QUIC', port: 1 }), 'spec.ingress[0].ports[0].protocol: must be TCP, UDP'],
    ['port 0', port({ port: 0 }), 'spec.ingress[0].ports[0].port: must be a whole number from 1 to 65535 (got 0)'],
    ['digits in quotes', port({ port: '80' }), 'spec.ingress[0].ports[0].port: must be the name of a port'],
    [
      'a range that ends before it starts',
      port({ port: 90, endPort: 80 }),
      'must not be less than port (got 90 to 80)',
    ],
    ['a range from a name', port({ port: 'http', endPort: 80 }), 'needs a port that is a number (got endPort 80)'],
    ['a range from nowhere', port({ endPort: 80 }), 'spec.ingress[0].ports[0].endPort: needs a port that is a number'],
    ['a field of the future', { ingress: [{ when: 'noon' }] }, 'spec.ingress[0].when: is not a known field'],
  ]
  test.each(rows)('%s', (_name, spec, problem) => {
    const policy = parse(spec)
    expect(formatFieldErrors(policy.problems)).toContain(problem)
    expect(policy.problems).toHaveLength(1)
    const [rule] = policy.ingress ?? []
    expect([rule?.peers, rule?.ports]).toContainEqual([])
  })
})

test('what is wrong with one peer or port does not concern the others, nor the numbers of the rules', () => {
  const { ingress, problems } = parse({
    ingress: ['x', { from: [{}, { podSelector: {} }], ports: [{ port: 0 }, { port: 80 }] }],
  })
  expect(ingress).toHaveLength(2)
  expect(ingress?.[0]).toEqual({ peers: [], ports: [] })
  expect(ingress?.[1]?.peers).toHaveLength(1)
  expect(ingress?.[1]?.ports).toHaveLength(1)
  expect(problems).toHaveLength(3)
})

test('with a selector that is not complete it isolates whom it may have meant, and allows nothing', () => {
  const policy = parse({
    podSelector: { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'x', operator: 'Gt', values: ['1'] }] },
    ingress: [{}],
  })
  expect(policy.podSelector.text).toBe('app in (web)')
  expect(policy.ingress).toEqual([])
  expect(policy.problems.map(({ field }) => field)).toEqual(['spec.podSelector.matchExpressions[0].operator'])
})

test('ten thousand pairs of labels are no trouble', () => {
  const matchLabels = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, 'v']))
  const policy = parse({ podSelector: { matchLabels } })
  expect(policy.podSelector.requirements).toHaveLength(10_000)
  expect(policy.problems).toEqual([])
})

test.each([
  ['without a name', { metadata: {}, spec: {} }],
  ['whose spec is text', { metadata, spec: 'x' }],
])('an object %s is no policy', (_name, raw) => {
  expect(parseNetworkPolicy(raw).ok).toBe(false)
})

function peerWords(peer: NetworkPolicyPeer): string {
  if (peer.kind === 'block') return `${formatCidr(peer.block)} except ${peer.except.map(formatCidr).join(' ')}`
  const { podSelector, namespaceSelector } = peer
  const pods = `pods ${podSelector.text || 'all'}`
  return namespaceSelector === undefined ? pods : `${pods} of namespaces ${namespaceSelector.text || 'all'}`
}
