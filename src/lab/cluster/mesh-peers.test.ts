import { expect, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { type ClusterPod, clusterPods } from './cluster-pod.ts'
import { type SelectingService, services } from './endpoint-slices.ts'
import { meshedAddresses } from './mesh-peers.ts'

function pod(name: string, app: string, podIP: string, images: readonly string[], phase = 'Running'): ClusterPod {
  const metadata = { name, namespace: 'default', uid: name, resourceVersion: '1', labels: { app } }
  const containers = images.map((image, at) => ({ name: `c${at}`, image }))
  return unwrap(clusterPods.parse({ metadata, spec: { containers }, status: { phase, podIP } }))
}

function service(app: string, clusterIP: string): SelectingService {
  const metadata = { name: app, namespace: 'default', uid: app, resourceVersion: '1' }
  return unwrap(services.parse({ metadata, spec: { selector: { app }, clusterIP } }))
}

const meshed = ['app', 'vcn-lab/sidecar']

test.each<[string, readonly SelectingService[], readonly ClusterPod[], readonly string[]]>([
  ['a pod with our sidecar', [], [pod('a', 'web', '10.0.0.1', meshed)], ['10.0.0.1']],
  ['not one with HAProxy, which speaks no TLS', [], [pod('a', 'web', '10.0.0.1', ['app', 'vcn-lab/haproxy'])], []],
  ['not one that has ended', [], [pod('a', 'web', '10.0.0.1', meshed, 'Succeeded')], []],
  [
    'a Service all of whose pods have one',
    [service('web', '10.96.0.1')],
    [pod('a', 'web', '10.0.0.1', meshed), pod('b', 'web', '10.0.0.2', meshed)],
    ['10.0.0.1', '10.0.0.2', '10.96.0.1'],
  ],
  [
    'not a Service with one pod that has none',
    [service('web', '10.96.0.1')],
    [pod('a', 'web', '10.0.0.1', meshed), pod('b', 'web', '10.0.0.2', ['app'])],
    ['10.0.0.1'],
  ],
  ['not a Service without pods', [service('web', '10.96.0.1')], [], []],
  ['of a headless Service its pods', [service('web', 'None')], [pod('a', 'web', '10.0.0.1', meshed)], ['10.0.0.1']],
])('who speaks the mesh’s TLS: %s', (_, all, pods, expected) => {
  expect(meshedAddresses(all, pods)).toEqual(expected)
})
