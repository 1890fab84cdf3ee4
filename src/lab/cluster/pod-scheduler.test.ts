import { describe, expect, it } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { type KubeNode, parseNode } from '../../kube/node.ts'
import { type ClusterPod, parseClusterPod } from './cluster-pod.ts'
import { planBindings } from './pod-scheduler.ts'

function node(name: string, spec: object = {}, pods = '110'): KubeNode {
  const labels = { 'kubernetes.io/hostname': name }
  return unwrap(parseNode({ metadata: { name, labels }, spec, status: { capacity: { pods } } }))
}

function pod(name: string, spec: object = {}, metadata: object = {}): ClusterPod {
  const containers = [{ name: 'main', image: 'x' }]
  return unwrap(
    parseClusterPod({ metadata: { name, namespace: 'default', ...metadata }, spec: { containers, ...spec } }),
  )
}

const on = (nodeName: string): object => ({ nodeName })
const hostname = (name: string): object => ({ nodeSelector: { 'kubernetes.io/hostname': name } })
const tainted = { taints: [{ key: 'vcn-cni/not-ready', effect: 'NoSchedule' }] }

describe('planBindings', () => {
  it.each([
    ['a pod goes to the node with the fewest pods', [pod('x', on('a')), pod('y')], [node('a'), node('b')], ['y→b']],
    ['pods are spread', [pod('x'), pod('y'), pod('z')], [node('a'), node('b')], ['x→a', 'y→b', 'z→a']],
    ['no pod goes to a node with our taint', [pod('x')], [node('a', tainted), node('b')], ['x→b']],
    ['no pod goes to a cordoned node', [pod('x')], [node('a', { unschedulable: true })], []],
    ['a node selector is respected', [pod('x', hostname('b'))], [node('a'), node('b')], ['x→b']],
    ['a pod whose node does not exist waits', [pod('x', hostname('c'))], [node('a')], []],
    ['a full node takes no more', [pod('x'), pod('y')], [node('a', {}, '1')], ['x→a']],
    ['a bound pod stays where it is', [pod('x', on('a'))], [node('a'), node('b')], []],
    ['a pod that ends is not bound', [pod('x', {}, { deletionTimestamp: '2026-01-01T00:00:00Z' })], [node('a')], []],
  ])('%s', (_, pods, nodes, expected) => {
    expect(planBindings(pods, nodes).map((binding) => `${binding.pod.metadata.name}→${binding.node}`)).toEqual(expected)
  })
})
