import { writeFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { clusterPaths } from '../../src/lab/cluster-paths.ts'
import { clusterClient } from '../../src/lab/cluster/cluster-up.ts'
import { type ClusterPod, isPodReady, statusText } from '../../src/lab/cluster/cluster-pod.ts'
import { listCloud } from '../../src/lab/cluster/control-client.ts'
import { endpointSlices } from '../../src/lab/cluster/endpoint-slices.ts'
import { podsOfSet } from '../../src/lab/cluster/pod-sets.ts'
import { parseWebAnswer } from '../../src/lab/cluster/web-server.ts'
import type { LabStatus } from '../../src/lab/lab-status.ts'
import { KubeApiServer } from '../../src/lab/kube-api/server.ts'
import type { ApiClient } from '../../src/kube/api-client.ts'
import { nativePodNetworks, nodes } from '../../src/kube/resources.ts'
import { clusterScenario, ended, labTest as it, printed, smallScenario, type TestLab } from './test-lab.ts'

// The whole cluster: controller, Oracle's SDK, the emulated cloud, the Kubernetes API, agents and CNI executions, through
// the command line that people use.

const timeout = 240_000
const settles = { timeout: 60_000, interval: 250 }

// Single addresses in place of blocks, so that every pod counts.
const twoWorkers = clusterScenario({
  preferBlocks: false,
  shrinkDelaySeconds: 1,
  sets: '[{ name: web, replicas: 2, port: 8080 }, { name: client, replicas: 2 }]',
})

const someKubeconfig = JSON.stringify({
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'u', user: {} }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'x',
})

const never = new AbortController().signal

async function podsOf(client: ApiClient, set: string): Promise<readonly ClusterPod[]> {
  return unwrap(await podsOfSet(client, set, never))
}

function addressesOf(pods: readonly ClusterPod[]): readonly string[] {
  return pods.flatMap((pod) => statusText(pod, 'podIP') ?? []).sort()
}

/** Addresses of ready endpoints of the service. */
async function endpointsOf(client: ApiClient, service: string): Promise<readonly string[]> {
  const query = { namespace: 'default', labelSelector: `kubernetes.io/service-name=${service}` }
  const { items } = unwrap(await client.list(endpointSlices, query, never))
  type Endpoint = { readonly addresses: readonly string[]; readonly conditions: { readonly ready: boolean } }
  return items
    .flatMap(({ raw }) => (raw['endpoints'] ?? []) as unknown as readonly Endpoint[])
    .filter(({ conditions }) => conditions.ready)
    .flatMap(({ addresses }) => addresses)
    .sort()
}

async function fetchFrom(lab: TestLab, pod: string, address: string): Promise<string> {
  const request = `use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => "${address}:8080", Timeout => 5) or die "$@";
    print $s "GET / HTTP/1.0\\r\\n\\r\\n"; local $/; print scalar <$s>`
  const { stdout, stderr, exitCode } = await lab.run('exec', pod, '--', 'perl', '-e', request)
  return exitCode === 0 ? (parseWebAnswer(stdout.split('\r\n\r\n')[1] ?? '')?.pod ?? stdout) : stderr
}

describe('a lab that is a cluster', { timeout }, () => {
  it('runs pods that reach each other, grows and shrinks with them, and is gone after down', async ({ lab }) => {
    lab.writeScenario(twoWorkers)
    await lab.up()
    const client = clusterClient(lab.name)
    const [web, clients] = [await podsOf(client, 'web'), await podsOf(client, 'client')]
    expect([...web, ...clients].every(isPodReady)).toBe(true)
    expect(new Set(web.map(({ nodeName }) => nodeName))).toEqual(new Set(['n1', 'n2']))

    // Every client reaches every server, on its own node and on the other, by the address the VCN gave.
    for (const from of clients) {
      for (const to of web) {
        const answer = await fetchFrom(lab, from.metadata.name, statusText(to, 'podIP') ?? '')
        expect(answer).toBe(to.metadata.name)
      }
    }
    await expect.poll(() => endpointsOf(client, 'web'), settles).toEqual(addressesOf(web))

    // Beyond what the nodes have in store: the controller has to assign more meanwhile.
    const before = unwrap(await listCloud(lab.name, never)).privateIps.filter(({ primary }) => !primary)
    expect(before.length).toBeLessThan(20)
    expect(await lab.run('scale', 'web', '20', '--wait')).toMatchObject({ exitCode: 0 })
    const grown = await podsOf(client, 'web')
    expect(grown).toHaveLength(20)
    expect(new Set(addressesOf(grown)).size).toBe(20)
    await expect.poll(() => endpointsOf(client, 'web'), settles).toEqual(addressesOf(grown))
    const cloud = unwrap(await listCloud(lab.name, never))
    const blocks = cloud.privateIps.filter(({ primary }) => !primary).map(({ block }) => block)
    expect(blocks).toEqual(expect.arrayContaining(addressesOf(grown).map((address) => `${address}/32`)))

    expect(await lab.run('scale', 'web', '1', '--wait')).toMatchObject({ exitCode: 0 })
    const [last] = await podsOf(client, 'web')
    await expect.poll(() => endpointsOf(client, 'web'), settles).toEqual([statusText(last as ClusterPod, 'podIP')])
    // Two clients and a server, and one spare a node at least; minimumAddresses is 2.
    const left = async (): Promise<number> =>
      unwrap(await listCloud(lab.name, never)).privateIps.filter(({ primary }) => !primary).length
    await expect.poll(left, settles).toBeLessThanOrEqual(6)
    const from = clients.find(({ nodeName }) => nodeName !== last?.nodeName)
    expect(await fetchFrom(lab, from?.metadata.name ?? '', statusText(last as ClusterPod, 'podIP') ?? '')).toBe(
      last?.metadata.name,
    )

    const status = JSON.parse((await lab.run('status', '--json')).stdout) as LabStatus
    expect(status.cluster).toMatchObject({
      process: { pid: expect.any(Number) as number },
      controller: { pid: expect.any(Number) as number },
    })
    expect(status.cluster?.nodes?.map(({ name, network }) => [name, network])).toEqual([
      ['n1', true],
      ['n2', true],
    ])
    const listed = await lab.run('kubectl', 'get', 'nodes', '-o', 'name')
    expect(listed).toMatchObject({ exitCode: 0, stdout: 'node/n1\nnode/n2\n' })
    expect(await lab.run('pod add', 'x', '--node', 'n1')).toMatchObject({ exitCode: 1 })
    client.close()
    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
  })

  it('gets its pods running while the cloud refuses and loses answers, and ends with what it asked for', async ({
    lab,
  }) => {
    lab.writeScenario(twoWorkers)
    await lab.up('--no-pods')
    const faults = [
      {
        when: { kind: 'probability', probability: 0.2 },
        fault: { kind: 'status', status: 429, code: 'TooManyRequests' },
      },
      { operation: 'CreatePrivateIp', when: { kind: 'probability', probability: 0.3 }, fault: { kind: 'lostAnswer' } },
    ]
    expect(await lab.run('cloud faults', JSON.stringify(faults))).toMatchObject({ exitCode: 0 })
    expect(await lab.run('scale', 'web', '12', '--wait')).toMatchObject({ exitCode: 0 })
    expect(await lab.run('cloud faults', '[]')).toMatchObject({ exitCode: 0 })
    const client = clusterClient(lab.name)
    // Nothing that was made without an answer is left unpublished.
    const published = async (): Promise<readonly string[]> =>
      unwrap(await client.list(nativePodNetworks, {}, never))
        .items.flatMap(({ status }) => (status.ok ? status.value.vnics : []))
        .flatMap(({ addresses }) => addresses)
        .sort()
    const inTheCloud = async (): Promise<readonly string[]> =>
      unwrap(await listCloud(lab.name, never))
        .privateIps.filter(({ primary }) => !primary)
        .map(({ block }) => block.replace('/32', ''))
        .sort()
    await expect
      .poll(async () => JSON.stringify(await published()) === JSON.stringify(await inTheCloud()), settles)
      .toBe(true)
    client.close()
  })

  it('attaches further VNICs when one does not hold enough addresses, and pods behind any of them are reached', async ({
    lab,
  }) => {
    lab.writeScenario(twoWorkers.replace('subnetUpdateSeconds: 0.2', 'subnetUpdateSeconds: 0.2, addressesPerVnic: 3'))
    await lab.up()
    expect(await lab.run('scale', 'web', '8', '--wait')).toMatchObject({ exitCode: 0 })
    const { vnics } = unwrap(await listCloud(lab.name, never))
    expect(vnics.filter(({ primary }) => !primary).length).toBeGreaterThanOrEqual(4)
    const client = clusterClient(lab.name)
    const [from] = await podsOf(client, 'client')
    for (const to of await podsOf(client, 'web')) {
      const answer = await fetchFrom(lab, from?.metadata.name ?? '', statusText(to, 'podIP') ?? '')
      expect(answer).toBe(to.metadata.name)
    }
    client.close()
  })

  it('takes a node more, and loses one with everything on it', async ({ lab }) => {
    lab.writeScenario(twoWorkers)
    await lab.up()
    const client = clusterClient(lab.name)
    expect(await lab.run('node add', 'n3')).toMatchObject({ exitCode: 0 })
    const isReady = async (): Promise<boolean> => {
      const node = await client.get(nodes, { name: 'n3' }, never)
      return node.ok && node.value.taints.length === 0
    }
    await expect.poll(isReady, settles).toBe(true)
    expect(await lab.run('scale', 'web', '6', '--wait')).toMatchObject({ exitCode: 0 })
    expect((await podsOf(client, 'web')).map(({ nodeName }) => nodeName)).toContain('n3')

    expect(await lab.run('node terminate', 'n1')).toMatchObject({ exitCode: 0 })
    const onLost = async (): Promise<number> =>
      [...(await podsOf(client, 'web')), ...(await podsOf(client, 'client'))].filter(
        ({ nodeName }) => nodeName === 'n1',
      ).length
    await expect.poll(onLost, settles).toBe(0)
    await expect.poll(async () => unwrap(await client.list(nativePodNetworks, {}, never)).items.length, settles).toBe(2)
    expect(await lab.run('scale', 'web', '6', '--wait')).toMatchObject({ exitCode: 0 })
    client.close()
  })

  it('says what ended when the controller does not live, and leaves nothing', async ({ lab }) => {
    lab.writeScenario(twoWorkers)
    const child = lab.startUp()
    let [stdout, stderr] = ['', '']
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    await printed(child, 'controller started')
    process.kill(Number(/controller started: pid (\d+)/.exec(stdout)?.[1]), 'SIGKILL')
    expect(await ended(child)).toEqual([1, null])
    expect(stderr).toContain('the controller has ended: killed by SIGKILL')
    expect(lab.remains()).toEqual([])
  })
})

describe('up of a cluster that is stopped half-way removes what it made', { timeout }, () => {
  it.for(['cluster: ', 'controller started', 'network ready'])('after "%s"', async (milestone, { lab }) => {
    lab.writeScenario(twoWorkers)
    const child = lab.startUp()
    await printed(child, milestone)
    child.kill('SIGINT')
    expect(await ended(child)).toEqual([130, null])
    expect(lab.remains()).toEqual([])
  })
})

describe('with a Kubernetes API that was there before', { timeout }, () => {
  it('up makes its nodes ready without running pods, and down takes only them away', async ({ lab }) => {
    lab.writeScenario(twoWorkers)
    await using server = await KubeApiServer.start({ tls: true })
    const kubeconfig = `${lab.scenarioFile}.kubeconfig`
    writeFileSync(kubeconfig, server.kubeconfig())
    await lab.up('--kubeconfig', kubeconfig)
    const stored = server.store.list('nodes').map(({ metadata, spec }) => [metadata.name, spec])
    expect(stored).toMatchObject([
      ['n1', { providerID: expect.stringMatching(/^ocid1\.instance\./) as string, taints: [] }],
      ['n2', { providerID: expect.stringMatching(/^ocid1\.instance\./) as string, taints: [] }],
    ])
    expect(server.store.list('pods')).toEqual([])
    const status = JSON.parse((await lab.run('status', '--json')).stdout) as LabStatus
    expect(status.cluster?.kubeUrl).toBe(server.url)
    expect(clusterPaths(lab.name).kubeconfig).toBe(status.cluster?.kubeconfig)
    expect(await lab.run('down')).toMatchObject({ exitCode: 0 })
    expect(lab.remains()).toEqual([])
    expect(server.store.list('nodes')).toEqual([])
  })

  it.for([
    ['for a scenario that is no cluster', smallScenario, someKubeconfig, 'no cluster'],
    ['when its file is not there', twoWorkers, undefined, 'kubeconfig /nonexistent could not be read'],
  ] as const)('is refused %s, before anything is made', async ([, scenario, access, problem], { lab }) => {
    lab.writeScenario(scenario)
    if (access !== undefined) writeFileSync(`${lab.scenarioFile}.kubeconfig`, access)
    const file = access === undefined ? '/nonexistent' : `${lab.scenarioFile}.kubeconfig`
    const refused = await lab.run('up', '--scenario', lab.scenarioFile, '--kubeconfig', file)
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(problem) as string })
    expect(lab.remains()).toEqual([])
  })
})
