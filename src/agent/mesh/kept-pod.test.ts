import { expect, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { keptPods } from './kept-pod.ts'

test('of a pod only what decides about its mesh is kept', () => {
  const env = [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }]
  const annotations = {
    'sidecar.istio.io/status': '{}',
    'traffic.sidecar.istio.io/excludeInboundPorts': '80',
    'config.linkerd.io/skip-subnets': '10.0.0.0/8',
    'mesh.vcn-cni.io/profile': 'istio',
    'kubernetes.io/config.mirror': 'hash',
    'notistio.io/x': 'long',
    'kubectl.kubernetes.io/last-applied-configuration': 'long',
    plain: 'long',
  }
  const raw = {
    metadata: { name: 'web', namespace: 'shop', uid: 'u', resourceVersion: '7', annotations, finalizers: ['x'] },
    spec: {
      containers: [
        { name: 'main', env },
        { name: 'istio-proxy', env, securityContext: { runAsUser: 1337 } },
      ],
    },
  }
  const { metadata, containers } = unwrap(keptPods.parse(raw))
  expect(Object.keys(metadata.annotations)).toEqual(Object.keys(annotations).slice(0, 5))
  expect(metadata).toMatchObject({ name: 'web', namespace: 'shop', uid: 'u', finalizers: [], labels: {} })
  expect(containers).toEqual([
    { name: 'main', isInit: false, env: {} },
    { name: 'istio-proxy', isInit: false, runAsUser: 1337, env: { ISTIO_META_DNS_CAPTURE: 'true' } },
  ])
})
