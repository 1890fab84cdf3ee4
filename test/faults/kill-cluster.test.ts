import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import type { AgentStatus } from '../../src/agent/status.ts'
import { parseIpv4Cidr } from '../../src/base/cidr.ts'
import { unwrap } from '../../src/base/result.ts'
import { addressesOf } from '../../src/controller/observation.ts'
import type { ApiClient } from '../../src/kube/api-client.ts'
import { nativePodNetworks } from '../../src/kube/resources.ts'
import { agentPid, startAgent } from '../../src/lab/agent-process.ts'
import { clusterPaths } from '../../src/lab/cluster-paths.ts'
import { backgroundPid, startController } from '../../src/lab/cluster/cluster-processes.ts'
import { type ClusterPod, statusText } from '../../src/lab/cluster/cluster-pod.ts'
import { clusterClient } from '../../src/lab/cluster/cluster-up.ts'
import { askCluster, listCloud } from '../../src/lab/cluster/control-client.ts'
import { podsOfSet } from '../../src/lab/cluster/pod-sets.ts'
import { readLabState } from '../../src/lab/lab-store.ts'
import { nodePaths } from '../../src/lab/names.ts'
import { seededRandom } from '../../src/lab/random.ts'
import { fetchAgentStatus } from '../../src/cli/agent-client.ts'
import { clusterScenario, labTest as it, type TestLab } from '../e2e/test-lab.ts'

const settles = { timeout: 90_000, interval: 250 }
const never = new AbortController().signal
const nodes = ['n1', 'n2']

describe('agents and the controller, killed at random while the cluster grows and shrinks', () => {
  it.for([
    [1, false],
    [2, true],
  ] as const)(
    'cloud, Kubernetes and journals agree in the end (seed %i, blocks: %s)',
    { timeout: 300_000 },
    async ([seed, preferBlocks], { lab }) => {
      lab.writeScenario(clusterScenario({ preferBlocks, shrinkDelaySeconds: 0, sets: '[{ name: web, replicas: 2 }]' }))
      await lab.up()
      shortenLease(lab)
      const random = seededRandom(seed)
      using client = closing(clusterClient(lab.name))
      const lost = { when: { kind: 'probability', probability: 0.1 }, fault: { kind: 'lostAnswer' } } as const
      unwrap(await askCluster(lab.name, { method: 'faults', rules: [lost], seed }, never))
      for (let kill = 0; kill < 16; kill++) {
        if (kill % 4 === 0) await lab.run('scale', 'web', String(1 + Math.floor(random() * (preferBlocks ? 60 : 24))))
        await sleep(100 + random() * 900)
        if (random() < 0.5) await killController(lab, random)
        else await killAgent(lab, nodes[Math.floor(random() * nodes.length)] ?? 'n1', random)
      }
      unwrap(await askCluster(lab.name, { method: 'faults', rules: [], seed }, never))
      for (const replicas of [20, 2]) {
        expect(await lab.run('scale', 'web', String(replicas), '--wait')).toMatchObject({ exitCode: 0 })
        await expect.poll(() => disagreements(lab, client, replicas), settles).toEqual([])
      }
      // What was given back is given back: two pods need no more than this.
      const left = async (): Promise<number> => (await cloudAddresses(lab)).size
      await expect.poll(left, settles).toBeLessThanOrEqual(preferBlocks ? 32 : 6)
    },
  )
})

/** Between the cloud's addresses, the published ones and what the agents' journals hold, in sentences. */
async function disagreements(lab: TestLab, client: ApiClient, replicas: number): Promise<readonly string[]> {
  const problems: string[] = []
  const cloud = await cloudAddresses(lab)
  const published = new Set<string>()
  for (const { metadata, status } of unwrap(await client.list(nativePodNetworks, {}, never)).items) {
    if (!status.ok) return [`the status of ${metadata.name} does not parse`]
    if (status.value.vnics.length !== 1) problems.push(`${metadata.name} has ${status.value.vnics.length} VNICs`)
    for (const address of status.value.vnics.flatMap(({ addresses }) => addresses)) {
      if (published.has(address)) problems.push(`${address} is published twice`)
      published.add(address)
    }
  }
  for (const address of cloud) if (!published.has(address)) problems.push(`${address} is leaked in the cloud`)
  for (const address of published) if (!cloud.has(address)) problems.push(`${address} is published, but not assigned`)
  const held = (await Promise.all(nodes.map((node) => statusOf(lab, node)))).flatMap(({ attachments }) => attachments)
  const addresses = held.map(({ address }) => address)
  if (new Set(addresses).size !== addresses.length) problems.push('an address is held twice')
  for (const address of addresses) if (!published.has(address)) problems.push(`${address} is held, but not published`)
  const pods = unwrap(await podsOfSet(client, 'web', never))
  const ips = pods.map((pod: ClusterPod) => statusText(pod, 'podIP') ?? '')
  if (ips.length !== replicas) problems.push(`${ips.length} pods of ${replicas}`)
  for (const ip of ips)
    if (!addresses.some((address) => address === ip)) problems.push(`pod address ${ip} is in no journal`)
  if (addresses.length !== replicas) problems.push(`${addresses.length} attachments for ${replicas} pods`)
  return problems
}

async function cloudAddresses(lab: TestLab): Promise<ReadonlySet<string>> {
  const { privateIps } = unwrap(await listCloud(lab.name, never))
  const blocks = privateIps.filter(({ primary }) => !primary).map(({ block }) => unwrap(parseIpv4Cidr(block)))
  return new Set(blocks.flatMap((cidr) => addressesOf({ cidr })))
}

async function statusOf(lab: TestLab, node: string): Promise<AgentStatus> {
  return fetchAgentStatus(nodePaths(lab.name, node).socket, AbortSignal.timeout(5000))
}

async function killController(lab: TestLab, random: () => number): Promise<void> {
  const { controllerPidFile, controllerConfig } = clusterPaths(lab.name)
  const pid = backgroundPid(controllerPidFile, controllerConfig)
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
  await sleep(random() * 300)
  startController(lab.name)
}

async function killAgent(lab: TestLab, node: string, random: () => number): Promise<void> {
  const pid = agentPid(nodePaths(lab.name, node))
  if (pid !== undefined) process.kill(pid, 'SIGKILL')
  await sleep(random() * 300)
  const state = unwrap(readLabState(lab.name))
  const found = state.nodes.find(({ name }) => name === node)
  if (found !== undefined) startAgent(state, found)
}

// A killed leader's lease has to run out: by default that takes 15 s.
function shortenLease({ name }: TestLab): void {
  const { controllerConfig } = clusterPaths(name)
  appendFileSync(controllerConfig, '\nlease: { durationSeconds: 1 }\n')
}

function closing(client: ApiClient): ApiClient & Disposable {
  return Object.assign(client, { [Symbol.dispose]: () => client.close() })
}
