import { describe, expect, test } from 'vitest'
import { parseIpv4 } from '../../base/ip.ts'
import { unwrap } from '../../base/result.ts'
import { hostIfname } from '../../datapath/host-ifname.ts'
import { parsePolicyPod } from '../../kube/policy-pod.ts'
import type { GuardedInterface } from '../pod-guard.ts'
import { InterfaceBindings } from './interface-bindings.ts'

const node = 'worker-1'
const key = { network: 'vcn-cni', containerId: 'c0ffee', ifname: 'eth0' }
const identity = { namespace: 'shop', name: 'web-0' }

interface PodParts {
  readonly uid?: string
  readonly nodeName?: string
  readonly hostNetwork?: boolean
  readonly annotations?: Readonly<Record<string, string>>
}

function pod({ uid = 'new', nodeName = node, hostNetwork = false, annotations = {} }: PodParts = {}) {
  return unwrap(
    parsePolicyPod({ metadata: { ...identity, uid, annotations }, spec: { nodeName, hostNetwork }, status: {} }),
  )
}

function interfaceOf(who: Pick<GuardedInterface, 'pod'>, name = hostIfname(key, identity)): GuardedInterface {
  return { name, key, address: unwrap(parseIpv4('10.0.4.5')), ...who }
}

const secondKey = { ...key, ifname: 'net1' }
const second = { ...interfaceOf({}, hostIfname(secondKey, identity)), key: secondKey }
const closed = { kind: 'closed' }
const bound = { kind: 'pod', key: 'shop/web-0' }

describe('an interface', () => {
  test.each<[what: string, one: GuardedInterface, pod: PodParts | undefined, subject: unknown]>([
    ['of a pod that nobody has told of is closed', interfaceOf({ pod: identity }), undefined, closed],
    ['is its pod’s by name where the runtime tells no uid', interfaceOf({ pod: identity }), {}, bound],
    ['is its pod’s with the same uid', interfaceOf({ pod: { ...identity, uid: 'new' } }), {}, bound],
    ['of an older pod of that name is closed', interfaceOf({ pod: { ...identity, uid: 'old' } }), {}, closed],
    [
      'of a static pod is its mirror’s',
      interfaceOf({ pod: { ...identity, uid: 'static' } }),
      { uid: 'of-mirror', annotations: { 'kubernetes.io/config.mirror': 'static' } },
      bound,
    ],
    ['of a pod of another node is closed', interfaceOf({ pod: identity }), { nodeName: 'worker-2' }, closed],
    ['of a pod on the host’s network is closed', interfaceOf({ pod: identity }), { hostNetwork: true }, closed],
    ['of no pod is nobody’s', interfaceOf({}, hostIfname(key, undefined)), {}, { kind: 'none' }],
    ['whose journal was lost is its pod’s by its own name', interfaceOf({}), {}, bound],
    ['whose journal was lost and whose pod is unknown is closed', interfaceOf({}), undefined, closed],
    ['whose journal was lost is closed where it is not the pod’s first', { ...second, isAdopted: true }, {}, closed],
    ['that is a second one of no pod is nobody’s', second, {}, { kind: 'none' }],
  ])('%s', (_what, one, parts, subject) => {
    const bindings = new InterfaceBindings(node)
    bindings.put(one)
    if (parts !== undefined) bindings.putPods(new Map([['shop/web-0', pod(parts)]]))
    const after = { name: one.name, addresses: ['10.0.4.5'], subject }
    expect(bindings.takeChange()).toEqual([{ key: one.name, before: undefined, after }])
    expect(bindings.takeChange()).toEqual([])
  })

  test('is closed from when its pod is gone, and told no more when it is gone itself', () => {
    const bindings = new InterfaceBindings(node)
    const one = interfaceOf({ pod: identity })
    bindings.put(one)
    bindings.putPods(new Map([['shop/web-0', pod()]]))
    bindings.takeChange()
    bindings.putPods(new Map([['shop/web-0', undefined]]))
    expect(bindings.takeChange()).toMatchObject([{ before: { subject: bound }, after: { subject: closed } }])
    bindings.remove(one.name)
    expect(bindings.takeChange()).toMatchObject([{ key: one.name, after: undefined }])
  })
})

test('why a pod is unknown names it, the node and both uids', () => {
  const bindings = new InterfaceBindings(node)
  expect(bindings.whyUnknown(identity)).toBe('the API server has told of no pod shop/web-0 on node worker-1')
  bindings.putPods(new Map([['shop/web-0', pod()]]))
  expect(bindings.whyUnknown({ ...identity, uid: 'old' })).toBe(
    'the API server has told of pod shop/web-0 with uid new, not old',
  )
  expect(bindings.whyUnknown({ ...identity, uid: 'new' })).toBeUndefined()
})
