import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { KubeApiServer } from '../../lab/kube-api/server.ts'
import { applyManifests, parseManifests, readDeployManifests, readLabManifests } from '../../lab/cluster/manifests.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { createApiClient } from '../../kube/http-api-client.ts'
import { loadKubeConfig } from '../../kube/kube-config.ts'
import { parseUntyped } from '../../kube/object.ts'
import { pods } from '../../kube/resources.ts'

const vcnctl = `${import.meta.dirname}/../../../bin/vcnctl`
const never = new AbortController().signal

interface PodFacts {
  readonly name: string
  readonly node?: string
  readonly address?: string
  readonly phase?: string
  readonly hostNetwork?: boolean
}

const podFacts: readonly PodFacts[] = [
  { name: 'shop/web', node: 'n1', address: '10.0.4.1' },
  { name: 'shop/db', node: 'n2', address: '10.0.4.2' },
  { name: 'shop/job', node: 'n2', address: '10.0.4.3', phase: 'Succeeded' },
  { name: 'shop/many', node: 'n2', address: '10.0.4.5' },
  { name: 'shop/fresh' },
  { name: 'default/client', node: 'n1', address: '10.0.4.4' },
  { name: 'default/agent', node: 'n2', address: '10.0.0.2', hostNetwork: true },
]

const manifests = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { team: shop } }
---
apiVersion: v1
kind: Node
metadata: { name: n1 }
status: { addresses: [{ type: InternalIP, address: 10.0.0.1 }] }
---
apiVersion: v1
kind: Node
metadata: { name: n2 }
status: { addresses: [{ type: InternalIP, address: 10.0.0.2 }] }
---
apiVersion: v1
kind: Service
metadata: { name: sales, namespace: shop }
spec: { clusterIP: 10.96.7.7, ports: [{ port: 5432 }] }
`

const policies = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: shop }
spec:
  podSelector: { matchLabels: { pod: db } }
  ingress:
    - from: [{ podSelector: { matchLabels: { pod: nobody } } }]
    - { from: [{ podSelector: { matchLabels: { pod: web } } }], ports: [{ port: sql }, { port: 8000, endPort: 8010 }] }
    - from: [{ ipBlock: { cidr: 10.0.0.0/24 } }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: broken, namespace: default }
spec: { podSelector: { matchLabels: { pod: client } }, ingress: [{ from: [{ ipBlock: { cidr: nowhere } }] }] }
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: no-outside }
spec:
  tier: Admin
  priority: 5
  subject: { namespaces: { matchLabels: { team: shop } } }
  egress: [{ name: nothing out, action: Deny, to: [{ networks: [203.0.113.0/24] }] }]
`

/** More than a line of `policy denied` would name. */
const manyPolicies = [1, 2, 3, 4, 5, 6].map(
  (number) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: many-${number}, namespace: shop }
spec: { podSelector: { matchLabels: { pod: many } } }
`,
)

let server: KubeApiServer
const stack = new AsyncDisposableStack()
const directory = mkdtempSync(`${tmpdir()}/policy-explain-`)
const kubeconfig = `${directory}/kubeconfig`

beforeAll(async () => {
  stack.defer(() => rmSync(directory, { recursive: true }))
  server = stack.use(await KubeApiServer.start({ tls: false }))
  writeFileSync(kubeconfig, server.kubeconfig())
  const client = createApiClient(unwrap(loadKubeConfig({ kind: 'file', path: kubeconfig })), { userAgent: 'test' })
  stack.defer(() => client.close())
  await applyManifests(client, [...readDeployManifests(), ...readLabManifests(), ...parseManifests(manifests)], never)
  for (const facts of podFacts) await createPod(client, facts)
  await applyManifests(client, parseManifests([policies, ...manyPolicies].join('---')), never)
})
afterAll(() => stack.disposeAsync())

/** Labelled pod=NAME; its port sql is 5432/TCP. */
async function createPod(client: ApiClient, { name: key, node, address, phase, hostNetwork }: PodFacts): Promise<void> {
  const [namespace = '', name = ''] = key.split('/')
  const spec = {
    containers: [{ name: 'main', image: 'any:1', ports: [{ name: 'sql', containerPort: 5432 }] }],
    ...(node !== undefined && { nodeName: node }),
    ...(hostNetwork === true && { hostNetwork }),
  }
  const untyped = { ...pods, parse: parseUntyped }
  unwrap(await client.create(untyped, { metadata: { name, namespace, labels: { pod: name } }, spec }, never))
  if (address === undefined) return
  const status = { phase: phase ?? 'Running', podIP: address, podIPs: [{ ip: address }] }
  unwrap(await client.patchStatus(untyped, { name, namespace }, { type: 'merge', body: { status } }, never))
}

interface Answer {
  readonly code: number
  readonly text: string
}

function explain(...words: readonly string[]): Promise<Answer> {
  return explainBy(kubeconfig, ...words)
}

function explainBy(file: string, ...words: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    execFile(vcnctl, ['policy', 'explain', '--kubeconfig', file, ...words], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, text: `${stdout}${stderr}` })
    })
  })
}

describe('what decides', { timeout: 60_000 }, () => {
  const web = 'pods with pod in (web) of namespace shop'
  const rows: readonly (readonly [string, string, number, ...string[]])[] = [
    [
      'a rule, with the peer and the named port of it',
      'shop/web shop/db --port 5432',
      0,
      'shop/web → shop/db, 5432/TCP: ALLOWED',
      'egress   allowed: no policy isolates it',
      `ingress  allowed: accept by NetworkPolicy shop/db, rule spec.ingress[1]: ${web}, port 5432/TCP`,
    ],
    ['a range of ports', 'shop/web shop/db --port 8005/TCP', 0, `spec.ingress[1]: ${web}, port 8000-8010/TCP`],
    [
      'isolation that no rule opens',
      'client shop/db --port 5432',
      1,
      'default/client → shop/db, 5432/TCP: DENIED',
      'ingress  denied: isolated by NetworkPolicy shop/db, and no rule of it allows this',
    ],
    [
      'a cluster’s rule, by its name, at the way out',
      'shop/web 203.0.113.9 --port 53/UDP',
      1,
      'egress   denied: deny by ClusterNetworkPolicy no-outside of the admin tier, rule spec.egress[0] "nothing out": addresses 203.0.113.0/24, every port',
      'ingress  allowed: policies are not for this end',
    ],
    ['a pod’s own node', 'n2 shop/db --port 1', 0, 'node n2 → shop/db', 'a pod’s own node always reaches it'],
    ['another node, by its address', 'n1 shop/db --port 1', 0, 'addresses 10.0.0.0/24, every port'],
    ['a pod’s address: the pod', '10.0.4.1 10.0.4.2 --port 5432', 0, 'shop/web → shop/db'],
    [
      'a policy that is wrong, and says so',
      'shop/web client --port 80',
      1,
      'isolated by NetworkPolicy default/broken',
      'warning: NetworkPolicy default/broken fails closed where it is wrong: spec.ingress[0].from[0].ipBlock.cidr: "nowhere"',
    ],
    [
      'what has no ports: rules without ports',
      'n1 shop/db --port icmp',
      0,
      'node n1 → shop/db, ICMP and the like: ALLOWED',
      'rule spec.ingress[2]: addresses 10.0.0.0/24, every port',
    ],
    ['every policy that isolates', 'n1 shop/many --port 1', 1, 'many-1, ', 'NetworkPolicy shop/many-6, and no rule'],
    ['a pod that is nowhere yet', 'shop/fresh shop/db --port 1', 1, 'is on no node yet', 'has no address yet'],
    ['a pod that has finished', 'shop/job shop/web --port 1', 0, 'shop/job has finished (Succeeded)'],
    ['a pod on its node’s network', 'agent client --port 1', 1, 'default/agent is on the network of its node'],
  ]
  for (const [what, words, code, ...parts] of rows) {
    test(what, async () => {
      const answer = await explain(...words.split(' '))
      for (const part of parts) expect(answer.text).toContain(part)
      expect(answer.code).toBe(code)
      expect(answer.text.trimEnd().split('\n').length).toBeLessThanOrEqual(12)
    })
  }
})

test('without a port, all that makes a difference', { timeout: 60_000 }, async () => {
  const { code, text } = await explain('shop/web', 'shop/db')
  expect(code).toBe(1)
  expect(text.split('\n').filter((line) => line.startsWith('shop/web'))).toEqual([
    'shop/web → shop/db, 5432/TCP, 8000-8010/TCP: ALLOWED',
    'shop/web → shop/db, everything else: DENIED',
  ])
  expect((await explain('shop/db', 'shop/web')).text).toContain('shop/db → shop/web, all traffic: ALLOWED')
})

test('the same for programs', { timeout: 60_000 }, async () => {
  const { code, text } = await explain('client', 'shop/db', '--port', '5432', '--json')
  expect(code).toBe(1)
  expect(JSON.parse(text)).toEqual({
    from: 'default/client',
    to: 'shop/db',
    isAllowed: false,
    cases: [
      {
        traffic: [{ protocol: 'TCP', first: 5432, last: 5432 }],
        isAllowed: false,
        egress: { isAllowed: true, by: 'default' },
        ingress: { isAllowed: false, by: 'isolation', policies: [{ kind: 'NetworkPolicy', key: 'shop/db' }] },
      },
    ],
    warnings: [],
  })
})

test.each<readonly [string, string, string]>([
  ['a pod that there is not', 'shop/nobody shop/db', 'there is no pod nobody in namespace shop'],
  ['a namespace that there is not', 'nowhere/web shop/db', 'there is no namespace nowhere'],
  ['a pod of another namespace', 'web shop/db', 'there is shop/web'],
  [
    'the address of a Service',
    'client 10.96.7.7',
    '10.96.7.7 is the address of Service shop/sales, which cannot be asked about: policies see the pod',
  ],
  [
    'a Service',
    'client shop/sales',
    'shop/sales is Service shop/sales, which cannot be asked about: policies see the pod',
  ],
  ['a port of ICMP', 'client shop/db --port 80/ICMP', '--port 80/ICMP: ICMP has no ports; ask with --port icmp'],
  ['a port that is none', 'client shop/db --port 70000', '--port 70000 is not a port such as 80'],
  ['no destination', 'client', 'missing required argument'],
])('exit code 2 and a sentence for %s', { timeout: 60_000 }, async (_what, words, sentence) => {
  const answer = await explain(...words.split(' '))
  expect(answer.text).toContain(sentence)
  expect(answer.code).toBe(2)
})

test('an API server that nobody is at is named', { timeout: 60_000 }, async () => {
  const file = `${directory}/nobody`
  const away = server.kubeconfig().replace(/http:\/\/127\.0\.0\.1:\d+/, 'http://127.0.0.1:1')
  writeFileSync(file, away)
  const { code, text } = await explainBy(file, 'client', 'shop/db')
  expect(text).toMatch(/^vcnctl: API server http:\/\/127\.0\.0\.1:1: \w+ cannot be read: GET .*unreachable/)
  expect(code).toBe(2)
})

test('one that does not answer is waited for, and that is said', { timeout: 60_000 }, async () => {
  server.pause()
  const { code, text } = await explain('client', 'shop/db')
  server.resume()
  expect(text).toMatch(
    /^vcnctl: waiting for the API server (http:\S+) …\nvcnctl: API server \1: \w+ cannot be read: GET .*timeout/,
  )
  expect(code).toBe(2)
})
