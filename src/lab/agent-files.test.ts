import { expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { unwrap } from '../base/result.ts'
import { renderAgentConfig } from './agent-files.ts'
import { planLab } from './lab-plan.ts'
import { parseScenario } from './scenario-file.ts'

const nodes = `
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }]
nodes: [{ name: n1, vnics: [{ name: ens3, subnet: nodes, primary: true }] }]
`

function configOf(scenario: string): unknown {
  const lab = planLab('x', unwrap(parseScenario(scenario)), 1, '2026-01-01T00:00:00Z')
  const [node] = lab.nodes
  return node === undefined ? undefined : parseYaml(renderAgentConfig(lab, node))
}

const [kubeconfig, enabled] = ['/run/vcn-lab/x/node-kubeconfig', { enabled: true }]

it.each([
  ['an agent of a plain lab reads its VNICs from a file', '', { vnicsFile: '/run/vcn-lab/x/nodes/n1/vnics.yaml' }],
  [
    'an agent of a cluster serves services, enforces policies and redirects to sidecars',
    'cluster: { podSubnets: [nodes] }',
    { kubernetes: { kubeconfig, policy: 'vcn', services: enabled, mesh: enabled } },
  ],
  [
    'an agent of a cluster leaves all of that alone when the scenario says so',
    'cluster: { podSubnets: [nodes], services: false, mesh: false }',
    { kubernetes: { kubeconfig, policy: 'vcn' } },
  ],
  [
    'an agent of a cluster leaves policies to Calico when the scenario says so',
    'cluster: { podSubnets: [nodes], services: false, policy: calico }',
    { kubernetes: { kubeconfig, policy: 'calico', mesh: enabled } },
  ],
])('%s', (_, section, expected) => {
  expect(configOf(`${nodes}${section}`)).toEqual({
    ...expected,
    strategy: 'spread',
    cooldownSeconds: 30,
    mtuBytes: 9000,
  })
})
