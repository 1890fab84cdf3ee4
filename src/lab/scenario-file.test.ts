import { readdirSync } from 'node:fs'
import { describe, expect, it, test } from 'vitest'
import { parsePortMapping, parseScenario, readScenario } from './scenario-file.ts'

const scenariosDirectory = `${import.meta.dirname}/scenarios`

const minimal = `
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }, { name: pods, cidr: 10.0.1.0/28 }]
nodes:
  - name: n1
    vnics: [{ name: ens3, subnet: nodes, primary: true }, { name: ens5, subnet: pods, secondaryAddresses: 4 }]
`

test.each(readdirSync(scenariosDirectory))('the scenario %s that comes with the lab is valid', (file) => {
  expect(readScenario(`${scenariosDirectory}/${file}`)).toMatchObject({ ok: true })
})

test('the default scenario has 3 nodes and 9 pods', () => {
  const scenario = readScenario(`${scenariosDirectory}/default.yaml`)
  expect(scenario.ok && [scenario.value.nodes.length, scenario.value.pods.length]).toEqual([3, 9])
})

test('what is left out has a default', () => {
  const scenario = parseScenario(`${minimal}\npods: [{ name: p, node: n1 }]`)
  expect(scenario).toMatchObject({
    ok: true,
    value: {
      agent: { strategy: 'spread', cooldownSeconds: 30, mtuBytes: 9000 },
      pods: [{ name: 'p', namespace: 'default', node: 'n1', ports: [] }],
      nodes: [{ vnics: [{ secondaryAddresses: 0, skipSourceDestCheck: false }, { primary: false }] }],
    },
  })
})

describe('an error names the field and says what would be right', () => {
  it.each([
    ['a block with host bits', ['10.0.0.0/24', '10.0.0.5/24'], 'subnets[0].cidr', 'the block is 10.0.0.0/24'],
    ['a subnet outside the VCN', ['10.0.1.0/28', '10.1.0.0/28'], 'subnets[1].cidr', "not within the VCN's 10.0.0.0/16"],
    ['overlapping subnets', ['10.0.1.0/28', '10.0.0.16/28'], 'subnets[1].cidr', 'overlaps 10.0.0.0/24 of subnet nodes'],
    ['a subnet too small', ['10.0.1.0/28', '10.0.1.0/30'], 'subnets[1].cidr', '1 usable addresses, the nodes'],
    ['a subnet smaller than OCI has', ['10.0.1.0/28', '10.0.1.0/31'], 'subnets[1].cidr', 'between /16 and /30'],
    ['an unknown subnet', ['subnet: pods', 'subnet: pod'], 'nodes[0].vnics[1].subnet', 'there are nodes, pods'],
    ['no primary VNIC', [', primary: true', ''], 'nodes[0].vnics', 'an instance has exactly one'],
    ['an interface twice', ['name: ens5', 'name: ens3'], 'nodes[0].vnics[1].name', 'already nodes[0].vnics[0]'],
    ['too many addresses', ['Addresses: 4', 'Addresses: 65'], 'nodes[0].vnics[1].secondaryAddresses', '<=64 (got 65)'],
    ['a reserved node name', ['name: n1', 'name: vcn'], 'nodes[0].name', 'name other namespaces'],
    ['a node name with a slash', ['name: n1', 'name: n/1'], 'nodes[0].name', 'letters, digits and inner hyphens'],
    ['a field misspelt', ['secondaryAddresses', 'secondaryAdresses'], 'nodes[0].vnics[1].secondaryAdresses', 'known'],
    ['a VCN over the outside world', ['10.0.0.0/16', '198.51.0.0/16'], 'vcn.cidr', 'overlaps 198.51.100.0/24'],
  ] as const)('%s', (_, [from, to], field, problem) => {
    const scenario = parseScenario(minimal.replace(from, to))
    const errors = scenario.ok ? [] : scenario.error
    expect(errors).toContainEqual({ field, problem: expect.stringContaining(problem) as string })
  })

  it.each([
    ['a pod on no node', '{ name: p, node: n2 }', 'pods[0].node', 'there are n1'],
    ['a pod name with a space', '{ name: p q, node: n1 }', 'pods[0].name', "is not a pod's name"],
    ['a pod twice', '{ name: p, node: n1 }, { name: p, node: n1 }', 'pods[1].name', 'already pods[0]'],
    [
      'a port out of range',
      '{ name: p, node: n1, ports: [{ hostPort: 70000, containerPort: 80 }] }',
      'pods[0].ports[0].hostPort',
      'got 70000',
    ],
  ] as const)('%s', (_, pods, field, problem) => {
    const scenario = parseScenario(`${minimal}\npods: [${pods}]`)
    const errors = scenario.ok ? [] : scenario.error
    expect(errors).toContainEqual({ field, problem: expect.stringContaining(problem) as string })
  })

  const cluster = minimal.replace(/, \{ name: ens5.*\}/, '').concat('\ncluster: { podSubnets: [pods] }')
  it.each([
    [
      'a secondary VNIC in a cluster',
      minimal.concat('\ncluster: { podSubnets: [pods] }'),
      'nodes[0].vnics[1]',
      'the controller attaches',
    ],
    ['an unknown pod subnet', cluster.replace('[pods]', '[pod]'), 'cluster.podSubnets[0]', 'there are nodes, pods'],
    ['no pod subnet', cluster.replace('[pods]', '[]'), 'cluster.podSubnets', '>=1'],
    [
      'a set twice',
      cluster.replace('[pods]', '[pods], sets: [{ name: a }, { name: a }]'),
      'cluster.sets[1].name',
      'already cluster.sets[0]',
    ],
  ] as const)('%s', (_, text, field, problem) => {
    const scenario = parseScenario(text)
    const errors = scenario.ok ? [] : scenario.error
    expect(errors).toContainEqual({ field, problem: expect.stringContaining(problem) as string })
  })

  it('all problems are told at once', () => {
    const scenario = parseScenario(
      minimal.replace('primary: true', 'primary: false').replace('name: ens5', 'name: ens3'),
    )
    expect(scenario.ok ? [] : scenario.error.map(({ field }) => field)).toEqual([
      'nodes[0].vnics',
      'nodes[0].vnics[1].name',
    ])
  })

  it.each([
    ['text that is not YAML', 'vcn: [', 'not valid YAML'],
    ['an empty file', '', 'expected object'],
  ])('%s', (_, text, problem) => {
    const scenario = parseScenario(text)
    expect(scenario.ok ? '' : scenario.error[0]?.problem).toContain(problem)
  })

  it('a file that is not there', () => {
    const scenario = readScenario('/nonexistent/scenario.yaml')
    expect(scenario.ok ? '' : scenario.error[0]?.problem).toMatch(/cannot be read.*ENOENT/)
  })
})

describe('parsePortMapping', () => {
  it.each([
    ['8080:80', { hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
    ['5353:53/udp', { hostPort: 5353, containerPort: 53, protocol: 'udp' }],
  ])('%s', (text, mapping) => {
    expect(parsePortMapping(text)).toEqual({ ok: true, value: mapping })
  })

  it.each(['80', '80:', '0:80', '80:70000', '80:80/icmp', '80:80 '])('refuses %j', (text) => {
    expect(parsePortMapping(text)).toMatchObject({ ok: false, error: expect.stringContaining(text) as string })
  })
})
