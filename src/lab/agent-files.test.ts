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

it.each([
  ['an agent of a plain lab reads its VNICs from a file', '', { vnicsFile: '/run/vcn-lab/x/nodes/n1/vnics.yaml' }],
  [
    'an agent of a cluster serves services and enforces policies',
    'cluster: { podSubnets: [nodes] }',
    { kubernetes: { kubeconfig: '/run/vcn-lab/x/node-kubeconfig', policy: 'vcn', services: { enabled: true } } },
  ],
  [
    'an agent of a cluster leaves them alone when the scenario says so',
    'cluster: { podSubnets: [nodes], services: false }',
    { kubernetes: { kubeconfig: '/run/vcn-lab/x/node-kubeconfig', policy: 'vcn' } },
  ],
  [
    'an agent of a cluster leaves policies to Calico when the scenario says so',
    'cluster: { podSubnets: [nodes], services: false, policy: calico }',
    { kubernetes: { kubeconfig: '/run/vcn-lab/x/node-kubeconfig', policy: 'calico' } },
  ],
])('%s', (_, section, expected) => {
  expect(configOf(`${nodes}${section}`)).toEqual({
    ...expected,
    strategy: 'spread',
    cooldownSeconds: 30,
    mtuBytes: 9000,
  })
})
