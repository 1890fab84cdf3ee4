import { describe, expect, test } from 'vitest'
import { formatCidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import { formatFieldErrors } from '../base/schema.ts'
import { type ClusterNetworkPolicy, parseClusterNetworkPolicy } from './cluster-network-policy.ts'

const everybody = { namespaces: {} }

function parse(spec: object): ClusterNetworkPolicy {
  const raw = { metadata: { name: 'c' }, spec: { tier: 'Admin', priority: 10, subject: everybody, ...spec } }
  return unwrap(parseClusterNetworkPolicy(raw))
}

test('a policy with all that there is', () => {
  const policy = parse({
    tier: 'Baseline',
    priority: 0,
    subject: {
      pods: { namespaceSelector: { matchLabels: { team: 'a' } }, podSelector: { matchLabels: { app: 'web' } } },
    },
    ingress: [{ name: 'monitoring', action: 'Accept', from: [{ namespaces: { matchLabels: { team: 'mon' } } }] }],
    egress: [
      {
        action: 'Deny',
        to: [{ networks: ['10.0.0.0/8', 'fd00::/8'] }, { pods: { namespaceSelector: {}, podSelector: {} } }],
        protocols: [
          { tcp: { destinationPort: { number: 80 } } },
          { udp: { destinationPort: { range: { start: 50, end: 60 } } } },
          { sctp: { destinationPort: { number: 1 } } },
          { destinationNamedPort: 'http' },
        ],
      },
      { action: 'Pass', to: [{ namespaces: {} }] },
    ],
  })
  expect(policy).toMatchObject({ tier: 'Baseline', priority: 0, problems: [] })
  expect(policy.subject?.namespaceSelector.text).toBe('team in (a)')
  expect(policy.subject?.podSelector.text).toBe('app in (web)')
  expect(policy.ingress).toMatchObject([{ name: 'monitoring', action: 'Accept', ports: 'any' }])
  const [deny, pass] = policy.egress
  expect(deny?.peers).toMatchObject([{ kind: 'networks' }, { kind: 'pods' }])
  const networks = deny?.peers === 'any' ? undefined : deny?.peers[0]
  expect(networks?.kind === 'networks' && networks.blocks.map(formatCidr)).toEqual(['10.0.0.0/8', 'fd00::/8'])
  expect(deny?.ports).toEqual([
    { kind: 'range', protocol: 'TCP', first: 80, last: 80 },
    { kind: 'range', protocol: 'UDP', first: 50, last: 60 },
    { kind: 'range', protocol: 'SCTP', first: 1, last: 1 },
    { kind: 'named', name: 'http' },
  ])
  expect(pass).toMatchObject({ action: 'Pass', ports: 'any' })
})

describe('fails closed, and says why, a rule with', () => {
  const tcp = (destinationPort: unknown): object => ({ to: [everybody], protocols: [{ tcp: { destinationPort } }] })
  const rows: readonly (readonly [string, object, string])[] = [
    [
      'a peer that the API server has emptied',
      { to: [{}] },
      'spec.egress[0].to[0]: must have exactly one of namespaces, pods, networks',
    ],
    ['domain names', { to: [{ domainNames: ['example.com'] }] }, 'must have exactly one of namespaces, pods, networks'],
    ['nodes', { to: [{ nodes: {} }] }, 'must have exactly one of namespaces, pods, networks'],
    ['two peers in one', { to: [{ namespaces: {}, networks: ['10.0.0.0/8'] }] }, 'must have exactly one of'],
    ['no peers', {}, 'spec.egress[0].to: must have at least one item'],
    ['an empty list of peers', { to: [] }, 'spec.egress[0].to: must have at least one item'],
    ['a network that is none', { to: [{ networks: ['10.0.0'] }] }, 'networks[0]: "10.0.0" is not a block'],
    [
      'an operator in small letters',
      { to: [{ namespaces: { matchExpressions: [{ key: 'a', operator: 'in', values: ['b'] }] } }] },
      'spec.egress[0].to[0].namespaces.matchExpressions[0].operator: must be In',
    ],
    ['no protocols in the list', { to: [everybody], protocols: [] }, 'protocols: must have at least one item'],
    ['an unknown protocol', { to: [everybody], protocols: [{ quic: {} }] }, 'must have exactly one of tcp, udp, sctp'],
    ['a protocol that says nothing', { to: [everybody], protocols: [{ tcp: {} }] }, 'tcp.destinationPort: is required'],
    ['a port that says nothing', tcp({}), 'tcp.destinationPort: must have exactly one of number, range'],
    ['port 0', tcp({ number: 0 }), 'destinationPort.number: must be a whole number from 1 to 65535 (got 0)'],
    ['a range backwards', tcp({ range: { start: 9, end: 1 } }), 'must start before its end (got 9 to 1)'],
  ]
  test.each(rows)('%s', (_name, rule, problem) => {
    const [accept, deny, pass] = ['Accept', 'Deny', 'Pass'].map((action) => parse({ egress: [{ action, ...rule }] }))
    expect(formatFieldErrors(accept?.problems ?? [])).toContain(problem)
    const [accepting] = accept?.egress ?? []
    expect(accepting?.action).toBe('Accept')
    const lists = [accepting?.peers, accepting?.ports]
    const firstPeer = accepting?.peers === 'any' ? undefined : accepting?.peers[0]
    const matchesNothing =
      lists.some((list) => list?.length === 0) || (firstPeer?.kind === 'networks' && firstPeer.blocks.length === 0)
    expect(matchesNothing).toBe(true)
    for (const policy of [deny, pass]) {
      expect(policy?.egress).toEqual([{ action: 'Deny', peers: 'any', ports: 'any' }])
      expect(formatFieldErrors(policy?.problems ?? [])).toContain(problem)
      expect(policy?.problems.at(-1)?.problem).toContain('is taken to deny everything')
    }
  })
})

test('networks are no peers of ingress', () => {
  const { ingress } = parse({ ingress: [{ action: 'Accept', from: [{ networks: ['10.0.0.0/8'] }] }] })
  expect(ingress).toEqual([{ action: 'Accept', peers: [], ports: 'any' }])
})

test('an action that is none denies whom the rule is about', () => {
  const { egress, problems } = parse({ egress: [{ action: 'Log', to: [everybody] }] })
  expect(egress).toMatchObject([{ action: 'Deny', peers: [{ kind: 'pods' }] }])
  expect(formatFieldErrors(problems)).toBe('spec.egress[0].action: must be Accept, Deny, Pass (got "Log")')
})

test.each([
  ['missing', undefined],
  ['empty', {}],
  ['double', { namespaces: {}, pods: { namespaceSelector: {}, podSelector: {} } }],
  ['unreadable', { namespaces: { matchLabels: 'x' } }],
])('a subject that is %s is nobody', (_name, subject) => {
  const policy = parse({ subject, ingress: [{ action: 'Deny', from: [everybody] }] })
  expect(policy).not.toHaveProperty('subject')
  expect(policy.problems).toHaveLength(1)
  expect(policy.problems[0]?.field).toMatch(/^spec\.subject/)
})

describe('whose place among the others cannot be read', () => {
  const must = 'spec.priority: must be a whole number from 0 to 1000'
  const rows: readonly (readonly [string, object, string, string, number])[] = [
    ['a tier that is none', { tier: 'Middle' }, 'spec.tier: must be Admin or Baseline (got "Middle")', 'Admin', 10],
    ['no tier', { tier: undefined }, 'spec.tier: is required: must be Admin or Baseline', 'Admin', 10],
    ['a priority too high', { priority: 1001 }, `${must} (got 1001)`, 'Admin', 1000],
    ['a priority of Baseline', { tier: 'Baseline', priority: -1 }, `${must} (got -1)`, 'Baseline', 1000],
    ['a priority in words', { priority: '5' }, `${must} (got "5")`, 'Admin', 1000],
    ['no priority', { priority: undefined }, must.replace('must', 'is required: must'), 'Admin', 1000],
  ]
  test.each(rows)('for %s: only its Deny rules hold', (_name, wrong, problem, tier, priority) => {
    const rules = ['Accept', 'Deny', 'Pass'].map((action) => ({ action, from: [everybody] }))
    const policy = parse({ ...wrong, ingress: rules, egress: [{ action: 'Pass', to: [everybody] }] })
    expect(policy).toMatchObject({
      tier,
      priority,
      ingress: [
        { action: 'Accept', peers: [] },
        { action: 'Deny', peers: [{ kind: 'pods' }] },
        { action: 'Pass', peers: [] },
      ],
      egress: [{ action: 'Pass', peers: [] }],
    })
    expect(formatFieldErrors(policy.problems)).toBe(
      `${problem}; spec: is taken as ${tier} with priority ${priority}, of which only Deny rules hold, because its place cannot be read`,
    )
  })
})

test('without a spec it is none', () => {
  const parsed = parseClusterNetworkPolicy({ metadata: { name: 'c' } })
  expect(parsed.ok ? '' : formatFieldErrors(parsed.error)).toContain('spec: ')
})
