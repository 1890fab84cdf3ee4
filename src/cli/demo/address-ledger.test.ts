import { expect, it } from 'vitest'
import { disagreements, type Ledgers } from './address-ledger.ts'

const agreed: Ledgers = {
  cloud: [
    { vnicId: 'v1', address: '10.0.4.2' },
    { vnicId: 'v2', address: '10.0.4.3' },
  ],
  published: [
    { node: 'n1', vnicId: 'v1', address: '10.0.4.2' },
    { node: 'n2', vnicId: 'v2', address: '10.0.4.3' },
  ],
  held: [{ node: 'n1', pod: 'a', address: '10.0.4.2' }],
  pods: [{ node: 'n1', pod: 'a', address: '10.0.4.2' }],
}

it('books that agree have no disagreements', () => {
  expect(disagreements(agreed)).toEqual([])
})

it.for<readonly [string, Partial<Ledgers>, readonly string[]]>([
  [
    'an address that Kubernetes does not know is leaked',
    { cloud: [...agreed.cloud, { vnicId: 'v1', address: '10.0.4.9' }] },
    ['10.0.4.9 on v1: assigned, but not published'],
  ],
  [
    'an address of no VNIC is leaked',
    { cloud: [...agreed.cloud, { vnicId: null, address: '10.0.4.9' }] },
    ['10.0.4.9 on no VNIC: assigned, but not published'],
  ],
  [
    'an address that the cloud does not have is told',
    { cloud: agreed.cloud.slice(0, 1) },
    ['10.0.4.3 on v2: published, but not assigned'],
  ],
  [
    'an address on another VNIC than published is told from both sides',
    { published: [...agreed.published.slice(0, 1), { node: 'n2', vnicId: 'v3', address: '10.0.4.3' }] },
    ['10.0.4.3 on v2: assigned, but not published', '10.0.4.3 on v3: published, but not assigned'],
  ],
  [
    'what a pod left behind is told',
    { pods: [] },
    ['10.0.4.2 is held on n1 by a, which Kubernetes does not have there'],
  ],
  ['a pod that no agent knows is told', { held: [] }, ['10.0.4.2 of a is in no journal']],
  ['a pod without address is told', { pods: [...agreed.pods, { node: 'n2', pod: 'b' }] }, ['b on n2 has no address']],
  [
    'an address used on another node than its own is told',
    {
      held: [{ node: 'n1', pod: 'a', address: '10.0.4.3' }],
      pods: [{ node: 'n1', pod: 'a', address: '10.0.4.3' }],
    },
    ['10.0.4.3 is held on n1, but not one of its addresses'],
  ],
  [
    'an address with two holders is told',
    {
      held: [...agreed.held, { node: 'n1', pod: 'a', address: '10.0.4.2' }],
    },
    ['10.0.4.2 is held twice'],
  ],
])('%s', ([, change, expected]) => {
  expect(disagreements({ ...agreed, ...change })).toEqual(expected)
})
