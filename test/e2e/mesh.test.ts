import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { askWebServer, type WebReply } from '../../src/lab/cluster/web-client.ts'
import { webServerCommand } from '../../src/lab/cluster/web-server.ts'
import { clusterPaths } from '../../src/lab/cluster-paths.ts'
import { listPods, type PodRecord } from '../../src/lab/lab-store.ts'
import { nodeNetns } from '../../src/lab/names.ts'
import { processesIn } from '../../src/lab/process-scan.ts'
import { clusterScenario, type Outcome, TestLab } from './test-lab.ts'

// Meshes in a whole cluster: sidecars injected on request, rules by vcn-mesh, Services and policies by the agents, and what
// the sidecars saw. For each kind of sidecar a client on one node and a server, behind a Service of its own, on the other.

const settles = { timeout: 20_000, interval: 50 }
const port = 8080
const never = new AbortController().signal
const identity = (name: string): string => `spiffe://lab/ns/default/pod/${name}`

let lab: TestLab

beforeAll(async () => {
  lab = new TestLab()
  lab.writeScenario(clusterScenario({ preferBlocks: false, shrinkDelaySeconds: 5, sets: '[]' }))
  await lab.up()
  await apply(
    kinds.map(({ kind }) => `${pod(kind, 'client', 'n1')}\n---\n${pod(kind, 'server', 'n2')}\n---\n${service(kind)}`),
  )
  const ready = ['wait', 'pod', '--all', '--for', 'condition=Ready', '--timeout', '60s']
  await kubectl(...ready)
}, 120_000)

afterAll(() => lab[Symbol.asyncDispose](), 60_000)

const kinds = [
  { kind: 'istio', container: 'istio-proxy', askedBy: '127.0.0.6', encrypts: true },
  { kind: 'linkerd', container: 'linkerd-proxy', askedBy: '127.0.0.1', encrypts: true },
  { kind: 'haproxy', container: 'istio-proxy', askedBy: '127.0.0.6', encrypts: false },
] as const

describe.each(kinds)('with sidecars of kind $kind', { timeout: 60_000 }, ({ kind, container, askedBy, encrypts }) => {
  const [client, server] = [`${kind}-client`, `${kind}-server`]
  const newest = (name: string, direction: string): Promise<LogLine | undefined> =>
    Promise.resolve(logOf(name, container).findLast((line) => line.direction === direction))

  it('an application reaches another, and both sidecars know where it was sent to', async () => {
    expect(await ask(client, address(server), port)).toMatchObject({ pod: server, node: 'n2', askedBy })
    const sent = { originalDestination: `${address(server)}:${port}` }
    await expect
      .poll(() => newest(client, 'outbound'), settles)
      .toMatchObject({
        ...sent,
        ...(encrypts && { peer: identity(server) }),
      })
    await expect
      .poll(() => newest(server, 'inbound'), settles)
      .toMatchObject({
        ...sent,
        source: expect.stringContaining(`${address(client)}:`) as string,
        ...(encrypts && { peer: identity(client) }),
      })
  })

  it('through a Service the client’s sidecar sees the virtual address, the server’s the pod’s', async () => {
    const virtual = await clusterIp(kind)
    expect(await ask(client, virtual, 80)).toMatchObject({ pod: server, askedBy })
    await expect.poll(() => newest(client, 'outbound'), settles).toMatchObject({ originalDestination: `${virtual}:80` })
    await expect
      .poll(() => newest(server, 'inbound'), settles)
      .toMatchObject({ originalDestination: `${address(server)}:${port}` })
  })

  it('a pod reaches itself by its own Service', async () => {
    expect(await ask(server, await clusterIp(kind), 80)).toMatchObject({ pod: server, askedBy })
  })

  it('what an application says to itself is none of the sidecar’s business', async () => {
    const sources = (): unknown[] => logOf(server, container).map((line) => line.source)
    const own = await ask(server, '127.0.0.1', port)
    expect(own).toMatchObject({ pod: server, askedBy: '127.0.0.1' })
    const ownAddress = await ask(server, address(server), port)
    expect(ownAddress).toMatchObject({ pod: server, askedBy: address(server) })
    // What it says to another one afterwards is in the log: then these would be, too.
    const other = await ask(server, address(client), port)
    await expect.poll(sources, settles).toContain(`${address(server)}:${other.localPort}`)
    expect(sources()).not.toContain(`127.0.0.1:${own.localPort}`)
    expect(sources()).not.toContain(`${address(server)}:${ownAddress.localPort}`)
  })

  it('the node’s probes and its NodePort come in by the sidecar, too', async () => {
    expect(await askFromNode('n2', address(server), port)).toMatchObject({ pod: server, askedBy })
    expect(await askFromNode('n1', await nodeAddress('n2'), await nodePort(kind))).toMatchObject({
      pod: server,
      askedBy,
    })
  })

  it('a policy is about pods and their ports, sidecars or not', async () => {
    await apply([denyTo(kind)])
    const outcome = (): Promise<unknown> => tryToAsk(client, address(server))
    await expect.poll(outcome, settles).toBe('denied')
    await apply([allowFrom(kind)])
    await expect.poll(outcome, settles).toMatchObject({ pod: server })
    await kubectl('delete', 'netpol', '--all')
  })

  it('a sidecar that ends is started again, and its pod answers again', async () => {
    expect(await endSidecar(server)).toBeGreaterThan(0)
    await expect.poll(() => tryToAsk(client, address(server)), settles).toMatchObject({ pod: server })
    const restarts = [
      'get',
      'pod',
      server,
      '-o',
      `jsonpath={.status.containerStatuses[?(@.name=="${container}")].restartCount}`,
    ]
    expect(Number((await kubectl(...restarts)).stdout)).toBeGreaterThan(0)
  })
})

it('pods have the rules without an init container and without a capability', async () => {
  const { stdout } = await kubectl('get', 'pods', '-o', 'json')
  const specs = (JSON.parse(stdout) as { items: { spec: object }[] }).items.map(({ spec }) => spec)
  expect(specs).toHaveLength(2 * kinds.length)
  for (const spec of specs) {
    expect(spec).not.toHaveProperty('initContainers')
    expect(JSON.stringify(spec)).not.toContain('capabilities')
  }
})

interface LogLine {
  readonly direction: string
  readonly source?: string
  readonly [field: string]: unknown
}

function pod(kind: string, role: string, node: string): string {
  const name = `${kind}-${role}`
  const env =
    'env: [{ name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }, { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }]'
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} }, annotations: { lab.vcn-cni.io/sidecar: ${kind} } }
spec:
  nodeSelector: { kubernetes.io/hostname: ${node} }
  containers:
    - name: main
      image: vcn-lab/host
      command: ${JSON.stringify(webServerCommand(port))}
      ${env}
      readinessProbe: { tcpSocket: { port: ${port} }, periodSeconds: 1 }`
}

function service(kind: string): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${kind} }
spec: { type: NodePort, selector: { app: ${kind}-server }, ports: [{ port: 80, targetPort: ${port} }] }`
}

function denyTo(kind: string): string {
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: deny }
spec: { podSelector: { matchLabels: { app: ${kind}-server } } }`
}

function allowFrom(kind: string): string {
  return `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: allow }
spec:
  podSelector: { matchLabels: { app: ${kind}-server } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: ${kind}-client } } }]
      ports: [{ port: ${port} }]`
}

function podNamed(name: string): PodRecord {
  const found = listPods(lab.name).find((one) => one.name === name)
  if (found === undefined) throw new Error(`there is no pod ${name}`)
  return found
}

function address(name: string): string {
  return podNamed(name).address ?? ''
}

async function ask(from: string, to: string, toPort: number): Promise<WebReply> {
  return answerIn(podNamed(from).netns, to, toPort)
}

async function askFromNode(node: string, to: string, toPort: number): Promise<WebReply> {
  return answerIn(nodeNetns(lab.name, node), to, toPort)
}

async function answerIn(netns: string, to: string, toPort: number): Promise<WebReply> {
  return unwrap(await askWebServer(netns, { address: to, port: toPort }, never))
}

async function tryToAsk(from: string, to: string): Promise<unknown> {
  const reply = await askWebServer(podNamed(from).netns, { address: to, port, timeoutMs: 500 }, never)
  return reply.ok ? reply.value : 'denied'
}

/** How many processes it was. */
async function endSidecar(name: string): Promise<number> {
  const { netns } = podNamed(name)
  const pids = processesIn([netns]).filter((pid) =>
    /sidecar|haproxy/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
  )
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await expect.poll(() => processesIn([netns]).some((pid) => pids.includes(pid)), settles).toBe(false)
  return pids.length
}

function logOf(name: string, container: string): readonly LogLine[] {
  const text = readFileSync(`${clusterPaths(lab.name).podLogs}/default_${name}_${container}.log`, 'utf8')
  return text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogLine] : []))
}

async function clusterIp(kind: string): Promise<string> {
  return (await kubectl('get', 'service', kind, '-o', 'jsonpath={.spec.clusterIP}')).stdout
}

async function nodePort(kind: string): Promise<number> {
  return Number((await kubectl('get', 'service', kind, '-o', 'jsonpath={.spec.ports[0].nodePort}')).stdout)
}

async function nodeAddress(node: string): Promise<string> {
  const path = 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}'
  return (await kubectl('get', 'node', node, '-o', path)).stdout
}

async function apply(manifests: readonly string[]): Promise<void> {
  const file = `${dirname(lab.scenarioFile)}/mesh.yaml`
  writeFileSync(file, manifests.join('\n---\n'))
  await kubectl('apply', '-f', file)
}

async function kubectl(...words: readonly string[]): Promise<Outcome> {
  const outcome = await lab.run('kubectl', ...words)
  if (outcome.exitCode !== 0) throw new Error(`kubectl ${words.join(' ')}: ${outcome.stderr}`)
  return outcome
}
