import { expect, test } from 'vitest'
import { type Answered, TestApi } from './api.fixture.ts'
import { injectionAnnotation } from './sidecar-injection.ts'

const pods = '/api/v1/namespaces/default/pods'
const main = { name: 'main', image: 'app' }

function create(api: TestApi, sidecar: string, containers: readonly object[] = [main]): Answered {
  const annotations = { [injectionAnnotation]: sidecar, other: 'kept' }
  return api.call('POST', pods, { metadata: { name: 'p', annotations }, spec: { containers } })
}

test.each([
  ['istio', 'istio-proxy', 'vcn-lab/sidecar', 1337, 'sidecar.istio.io/status'],
  ['haproxy', 'istio-proxy', 'vcn-lab/haproxy', 1337, 'sidecar.istio.io/status'],
  ['linkerd', 'linkerd-proxy', 'vcn-lab/sidecar', 2102, 'linkerd.io/proxy-version'],
])('a pod that asks for %s gets it as by the mesh’s webhook', (sidecar, name, image, runAsUser, annotation) => {
  using api = new TestApi()
  const { code, body } = create(api, sidecar)
  expect(code).toBe(201)
  expect(body).toMatchObject({
    metadata: { annotations: { other: 'kept', [annotation]: expect.any(String) as string } },
    spec: {
      containers: [main, { name, image, securityContext: { runAsUser, runAsNonRoot: true } }],
    },
  })
  expect(body).not.toHaveProperty('spec.initContainers')
})

test('one that has the sidecar already stays as it is', () => {
  using api = new TestApi()
  const { body } = create(api, 'istio', [main, { name: 'istio-proxy', image: 'own' }])
  expect(body).toMatchObject({ spec: { containers: [main, { name: 'istio-proxy', image: 'own' }] } })
  expect(body).not.toHaveProperty(['metadata', 'annotations', 'sidecar.istio.io/status'])
})

test('a pod that asks for nothing gets nothing', () => {
  using api = new TestApi()
  const { body } = api.call('POST', pods, { metadata: { name: 'p' }, spec: { containers: [main] } })
  expect(body).toMatchObject({ spec: { containers: [main] } })
})

test('a sidecar that there is not is refused, with those that there are', () => {
  using api = new TestApi()
  expect(create(api, 'envoy')).toMatchObject({
    code: 403,
    body: {
      message: expect.stringContaining('"envoy" is no sidecar of the lab: valid are istio, haproxy, linkerd') as string,
    },
  })
})
