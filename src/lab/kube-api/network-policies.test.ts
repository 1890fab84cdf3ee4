import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { type Answered, TestApi } from './api.fixture.ts'
import { listAt, objectAt, textAt } from './objects.ts'

const policies = '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies'
const clusterPolicies = '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies'
const asTable = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json' }
const crd: unknown = parseYaml(
  readFileSync(`${import.meta.dirname}/../manifests/cluster-network-policies.yaml`, 'utf8'),
)

function create(api: TestApi, spec: object): Answered {
  return api.call('POST', policies, { metadata: { name: 'p' }, spec })
}

test.each<[string, object, object]>([
  ['nothing: ingress', {}, { podSelector: {}, policyTypes: ['Ingress'] }],
  ['no type in a list: the same', { policyTypes: [] }, { podSelector: {}, policyTypes: ['Ingress'] }],
  ['an empty list of egress rules: ingress alone', { egress: [] }, { policyTypes: ['Ingress'], egress: [] }],
  ['egress rules: both', { egress: [{}] }, { policyTypes: ['Ingress', 'Egress'], egress: [{}] }],
  ['a type: that one', { policyTypes: ['Egress'] }, { policyTypes: ['Egress'] }],
  [
    'ports without a protocol: TCP',
    { ingress: [{ ports: [{ port: 80 }, { port: 'dns', protocol: 'UDP' }, { port: 1, endPort: 9 }] }] },
    {
      ingress: [
        {
          ports: [
            { protocol: 'TCP', port: 80 },
            { protocol: 'UDP', port: 'dns' },
            { protocol: 'TCP', port: 1, endPort: 9 },
          ],
        },
      ],
    },
  ],
])('what a policy gets that says %s', (_, spec, expected) => {
  using api = new TestApi()
  const { code, body } = create(api, spec)
  expect(code).toBe(201)
  expect(objectAt(body, 'spec')).toMatchObject(expected)
})

test('a type of policy that there is not is refused', () => {
  using api = new TestApi()
  expect(create(api, { policyTypes: ['Sideways'] })).toMatchObject({
    code: 422,
    body: { message: expect.stringContaining('spec.policyTypes[0]: Unsupported value: "Sideways"') as string },
  })
})

test.each<[string, object, string]>([
  ['everybody', {}, '<none>'],
  ['labels', { matchLabels: { tier: 'db', app: 'web' } }, 'app=web,tier=db'],
  [
    'expressions',
    {
      matchLabels: { m: 'x' },
      matchExpressions: [
        { key: 'z', operator: 'Exists' },
        { key: 'a', operator: 'In', values: ['2', '1'] },
        { key: 'b', operator: 'NotIn', values: ['3'] },
        { key: 'c', operator: 'DoesNotExist' },
      ],
    },
    'a in (1,2),b notin (3),!c,m=x,z',
  ],
])('kubectl get shows whom a policy selects: %s', (_, podSelector, expected) => {
  using api = new TestApi()
  create(api, { podSelector })
  const { body } = api.call('GET', policies, undefined, asTable)
  expect(listAt(body, 'columnDefinitions').map((column) => textAt(column, 'name'))).toEqual([
    'Name',
    'Pod-Selector',
    'Age',
  ])
  expect(listAt(body, 'rows')).toMatchObject([{ cells: ['p', expected, '0s'] }])
})

test('ClusterNetworkPolicies are not there until their definition is; then they are kept as they are written', () => {
  using api = new TestApi()
  expect(api.call('GET', clusterPolicies).code).toBe(404)
  expect(api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd).code).toBe(201)
  const spec = { tier: 'Admin', priority: 7, subject: { namespaces: {} }, ingress: [{ action: 'Deny', from: [{}] }] }
  const typed = { apiVersion: 'policy.networking.k8s.io/v1alpha2', kind: 'ClusterNetworkPolicy' }
  const created = api.call('POST', clusterPolicies, { ...typed, metadata: { name: 'c' }, spec })
  expect(created).toMatchObject({ code: 201, body: { spec } })
  const { body } = api.call('GET', clusterPolicies, undefined, asTable)
  expect(listAt(body, 'rows')).toMatchObject([{ cells: ['c', 'Admin', 7, '0s'] }])
})
