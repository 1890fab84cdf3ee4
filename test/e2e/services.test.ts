import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { err, unwrap } from '../../src/base/result.ts'
import type { ApiClient } from '../../src/kube/api-client.ts'
import type { JsonObject } from '../../src/kube/object.ts'
import { services } from '../../src/kube/resources.ts'
import type { Service } from '../../src/kube/service.ts'
import { agentPid } from '../../src/lab/agent-process.ts'
import { clusterPods } from '../../src/lab/cluster/cluster-pod.ts'
import { clusterClient } from '../../src/lab/cluster/cluster-up.ts'
import { endpointSlices } from '../../src/lab/cluster/endpoint-slices.ts'
import { askUntilStopped, askWebServer, type TimedReply, type WebAddress } from '../../src/lab/cluster/web-client.ts'
import { listPods, readLabState } from '../../src/lab/lab-store.ts'
import { nodeNetns, nodePaths } from '../../src/lab/names.ts'
import { clusterScenario, TestLab } from './test-lab.ts'

// Services in a whole cluster: objects made through the API, addresses translated by the agents, real connections of pods,
// of nodes and of a machine of the VCN that belongs to no cluster.

const settles = { timeout: 30_000, interval: 100 }
const never = new AbortController().signal
const ref = { namespace: 'default', name: 'web' }

let lab: TestLab
let client: ApiClient
const clients = new DisposableStack()
/** Of the service `web`. */
let virtual: WebAddress
/** Of n1 and n2, at their primary VNICs. */
let nodePorts: readonly WebAddress[]

beforeAll(async () => {
  lab = new TestLab()
  const sets = '[{ name: web, replicas: 3, port: 8080 }, { name: client, replicas: 2 }]'
  lab.writeScenario(clusterScenario({ preferBlocks: false, shrinkDelaySeconds: 1, sets }))
  await lab.up()
  client = clusterClient(lab.name)
  clients.defer(() => client.close())
  const { clusterIps, ports } = await patchService({ type: 'NodePort' })
  virtual = { address: clusterIps[0] ?? '', port: 80 }
  nodePorts = ['n1', 'n2'].map((node) => ({ address: nodeAddress(node), port: ports[0]?.nodePort ?? 0 }))
  for (const node of ['n1', 'n2']) await answeredBy(nodeNetns(lab.name, node), virtual)
  for (const to of nodePorts) await answeredBy(outside(), to)
}, 120_000)

afterAll(async () => {
  // Also when the lab never came up.
  clients.dispose()
  await lab[Symbol.asyncDispose]()
}, 60_000)

describe('services of a lab that is a cluster', { timeout: 120_000 }, () => {
  it('a pod reaches all pods of a service by its address, and they see the pod', async () => {
    for (const from of podsOf('client')) {
      const replies = await Promise.all(Array.from({ length: 60 }, () => askWebServer(from.netns, virtual, never)))
      const answers = replies.map(unwrap)
      expect(new Set(answers.map(({ pod }) => pod))).toEqual(new Set(podsOf('web').map(({ name }) => name)))
      expect(new Set(answers.map(({ askedBy }) => askedBy))).toEqual(new Set([from.address]))
    }
  })

  it('a machine outside of the cluster reaches them by the node port of every node', async () => {
    for (const to of nodePorts) {
      const replies = await Promise.all(Array.from({ length: 60 }, () => askWebServer(outside(), to, never)))
      expect(new Set(replies.map(unwrap).map(({ pod }) => pod))).toEqual(new Set(podsOf('web').map(({ name }) => name)))
    }
  })

  it('with externalTrafficPolicy Local a node passes on to its own pods alone, which see the client', async () => {
    await patchService({ externalTrafficPolicy: 'Local' })
    const [to] = nodePorts
    const seen = async (): Promise<unknown> => {
      const reply = await askWebServer(nodeNetns(lab.name, 'n2'), to ?? virtual, never)
      return reply.ok ? { node: reply.value.node, askedBy: reply.value.askedBy } : reply.error
    }
    await expect.poll(seen, settles).toEqual({ node: 'n1', askedBy: nodeAddress('n2') })
    await patchService({ externalTrafficPolicy: 'Cluster' })
  })

  it('an endpoint that ends is told as serving and terminating, on its node and in its zone', async () => {
    const metadata = { name: 'ending', namespace: 'default' }
    const container = { name: 'main', image: 'any', lifecycle: { preStop: { sleep: { seconds: 20 } } } }
    const pod = { metadata: { ...metadata, labels: { app: 'ending' } }, spec: { containers: [container] } }
    unwrap(await client.create(clusterPods, pod, never))
    unwrap(
      await client.create(services, { metadata, spec: { selector: { app: 'ending' }, ports: [{ port: 80 }] } }, never),
    )
    const conditions = { ready: true, serving: true, terminating: false }
    await expect.poll(() => endpointsOf('ending'), settles).toMatchObject([{ conditions }])
    const { nodeName } = unwrap(await client.get(clusterPods, metadata, never))
    unwrap(await client.delete(clusterPods, metadata, {}, never))
    const ending = { nodeName, zone: 'AD-1', conditions: { ready: false, serving: true, terminating: true } }
    await expect.poll(() => endpointsOf('ending'), settles).toMatchObject([ending])
    unwrap(await client.delete(clusterPods, metadata, { gracePeriodSeconds: 0 }, never))
    await expect.poll(() => endpointsOf('ending'), settles).toEqual([])
  })

  it('no connection fails while pods come and go', async () => {
    const [from] = podsOf('client')
    const stopped = new AbortController()
    const asking = [
      ...podsOf('client').map(({ netns }) => askUntilStopped(netns, virtual, stopped.signal, never)),
      ...nodePorts.map((to) => askUntilStopped(outside(), to, stopped.signal, never)),
    ]
    for (const replicas of ['5', '1', '3']) {
      expect(await lab.run('scale', 'web', replicas, '--wait')).toMatchObject({ exitCode: 0 })
    }
    const names = new Set(podsOf('web').map(({ name }) => name))
    await expect.poll(() => distinctAnswers(from?.netns ?? ''), settles).toEqual(names)
    stopped.abort()
    const replies = (await Promise.all(asking)).flat()
    expect(replies.length).toBeGreaterThan(100)
    expect(failures(replies)).toEqual([])
  })

  it('a service without pods refuses at once, inside and outside, and answers again when there is one', async () => {
    expect(await lab.run('scale', 'web', '0', '--wait')).toMatchObject({ exitCode: 0 })
    const places = [
      ...podsOf('client').map(({ netns }) => ({ netns, to: virtual })),
      ...nodePorts.map((to) => ({ netns: outside(), to })),
    ]
    for (const { netns, to } of places) {
      await expect.poll(() => askWebServer(netns, to, never), settles).toEqual(err('ECONNREFUSED'))
    }
    expect(await lab.run('scale', 'web', '1', '--wait')).toMatchObject({ exitCode: 0 })
    for (const { netns, to } of places) await answeredBy(netns, to)
  })

  it('an agent that is killed leaves the services as they are', async () => {
    const pid = agentPid(nodePaths(lab.name, 'n1'))
    expect(pid).toBeDefined()
    process.kill(pid ?? 0, 'SIGKILL')
    await expect.poll(() => agentPid(nodePaths(lab.name, 'n1')), settles).toBeUndefined()
    for (let count = 0; count < 20; count++) {
      expect(await askWebServer(outside(), nodePorts[0] ?? virtual, never)).toMatchObject({ ok: true })
      await sleep(10)
    }
  })
})

function outside(): string {
  return unwrap(readLabState(lab.name)).fabric.vcn.netns
}

function nodeAddress(node: string): string {
  const { vnics } = unwrap(readLabState(lab.name)).fabric
  return vnics.find((vnic) => vnic.node === node && vnic.isPrimary)?.primaryAddress ?? ''
}

/** Of a set: those that stand on this machine. */
function podsOf(set: string): ReturnType<typeof listPods> {
  return listPods(lab.name).filter(({ name }) => name.startsWith(`${set}-`))
}

async function patchService(spec: JsonObject): Promise<Service> {
  return unwrap(await client.patch(services, ref, { type: 'merge', body: { spec } }, never))
}

async function answeredBy(netns: string, to: WebAddress): Promise<void> {
  // expect.poll is for tests alone, and this is asked before them too.
  await vi.waitFor(async () => expect(await askWebServer(netns, to, never)).toMatchObject({ ok: true }), settles)
}

async function distinctAnswers(netns: string): Promise<ReadonlySet<string>> {
  const replies = await Promise.all(Array.from({ length: 30 }, () => askWebServer(netns, virtual, never)))
  return new Set(replies.map((reply) => (reply.ok ? reply.value.pod : reply.error)))
}

async function endpointsOf(service: string): Promise<readonly unknown[]> {
  const query = { namespace: 'default', labelSelector: `kubernetes.io/service-name=${service}` }
  return unwrap(await client.list(endpointSlices, query, never)).items.flatMap(({ raw }) => raw['endpoints'])
}

function failures(replies: readonly TimedReply[]): readonly string[] {
  return replies.flatMap(({ reply }) => (reply.ok ? [] : [reply.error]))
}
