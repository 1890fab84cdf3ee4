import { expect, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { parseNode } from '../kube/node.ts'
import { proxyNodeOf } from './proxy-node.ts'

const internal = { type: 'InternalIP', address: '10.0.0.5' }
const external = { type: 'ExternalIP', address: '203.0.113.5' }

test.each<[string, readonly object[], string | undefined]>([
  ['its first internal one', [external, internal, { ...internal, address: '10.0.0.6' }], '10.0.0.5'],
  ['its external one when it has no other', [{ type: 'Hostname', address: 'n1' }, external], '203.0.113.5'],
  ['never loopback', [{ ...internal, address: '127.0.0.1' }, external], '203.0.113.5'],
  ['none of the other family', [{ ...internal, address: 'fd00::5' }], undefined],
])('the address of a node’s node ports is %s', (_which, addresses, expected) => {
  const node = unwrap(parseNode({ metadata: { name: 'n1' }, status: { addresses } }))
  const proxyNode = proxyNodeOf(node, 4)
  expect(proxyNode.primaryAddress).toBe(expected)
  expect(proxyNode.nodePortAddresses).toEqual(expected === undefined ? [] : [expected])
  expect(proxyNode).not.toHaveProperty('zone')
})

test('the zone is the node’s label', () => {
  const labels = { 'topology.kubernetes.io/zone': 'PHX-AD-1' }
  const node = unwrap(parseNode({ metadata: { name: 'n1', labels }, status: { addresses: [internal] } }))
  expect(proxyNodeOf(node, 4)).toMatchObject({ name: 'n1', zone: 'PHX-AD-1', family: 4 })
})
