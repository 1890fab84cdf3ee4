import { expect, test } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { parsePolicyPod, type PolicyPod } from '../../kube/policy-pod.ts'
import { partiesByAddress } from './parties.ts'

const address = unwrap(parseIpv4('10.0.4.10'))

function pod(name: string, phase: string, hostNetwork = false, podIP: string = address): PolicyPod {
  const metadata = { namespace: 'default', name, uid: name, resourceVersion: '1' }
  return unwrap(parsePolicyPod({ metadata, spec: { nodeName: 'node-1', hostNetwork }, status: { phase, podIP } }))
}

test.each<[what: string, pods: readonly PolicyPod[], whose: unknown]>([
  ['of no pod is nobody’s', [pod('other', 'Running', false, '10.0.4.11')], undefined],
  ['of a pod is the pod’s', [pod('a', 'Running')], { kind: 'pod', key: 'default/a', address }],
  [
    'of a pod on its node’s network is the node’s',
    [pod('a', 'Running', true)],
    { kind: 'node', name: 'node-1', address },
  ],
  ['handed on is the new pod’s', [pod('old', 'Succeeded'), pod('new', 'Running')], { key: 'default/new' }],
  ['handed on is the new pod’s, told first', [pod('new', 'Running'), pod('old', 'Failed')], { key: 'default/new' }],
  ['of a finished pod is its', [pod('old', 'Succeeded')], { key: 'default/old' }],
])('an address %s', (_what, pods, whose) => {
  const party = partiesByAddress(new Set([address]), pods).get(address)
  if (whose === undefined) expect(party).toBeUndefined()
  else expect(party).toMatchObject(whose as object)
})
