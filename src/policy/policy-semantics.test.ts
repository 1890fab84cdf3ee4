import { describe, expect, test } from 'vitest'
import { clusterPolicyRows } from './cluster-policy-rows.fixture.ts'
import { networkPolicyRows } from './network-policy-rows.fixture.ts'
import { type SemanticsRow, World, type WorldPolicies } from './small-world.fixture.ts'

// The same rows with real packets: test/policy/semantics.test.ts.

function flowsOf(policies: WorldPolicies, flows: SemanticsRow[2]): Record<string, boolean> {
  const world = new World(policies)
  const decided = Object.keys(flows).map((flow) => {
    const [from = '', to = '', traffic = '80/TCP'] = flow.split(' ')
    return [flow, world.decide(from, to, traffic).isAllowed] as const
  })
  return Object.fromEntries(decided)
}

describe('NetworkPolicy:', () => {
  test.each(networkPolicyRows)('%s', (_what, policies, flows) => {
    expect(flowsOf(policies, flows)).toEqual(flows)
  })
})

describe('ClusterNetworkPolicy:', () => {
  test.each(clusterPolicyRows)('%s', (_what, policies, flows) => {
    expect(flowsOf(policies, flows)).toEqual(flows)
  })
})
