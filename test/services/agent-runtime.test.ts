import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { inNetns } from '../clients/run-process.ts'
import { ask, serveEcho } from '../clients/traffic.ts'
import { podAddresses, ProxiedNode } from './proxied-node.ts'

// What the proxy does over time to a node’s traffic: changes, failures, tampering and restarts.

const patience = { timeout: 30_000, interval: 25 }
const [podA, podB, clientAddress] = podAddresses
const vip = '10.96.0.80'
const terminating = { ready: false, serving: true, terminating: true }

let node: ProxiedNode
let client: string
let podAPath: string
let scope: AsyncDisposableStack

beforeEach(async () => {
  scope = new AsyncDisposableStack()
  node = scope.use(await ProxiedNode.start())
  podAPath = await addPod('a', podA)
  const podBPath = await addPod('b', podB)
  for (const path of [podAPath, podBPath]) scope.use(await serveEcho(node.cluster.node.directory, path, 8080))
  client = await addPod('client', clientAddress)
})
afterEach(async () => {
  await scope.disposeAsync()
})

async function addPod(name: string, address: string): Promise<string> {
  const path = node.cluster.node.addPodNetns()
  expect(await node.cluster.add(name, path)).toBe(address)
  return path
}

const askTcp = (host = vip): Promise<string> => ask(client, 'tcp', host, 80)
const value = async (name: string): Promise<number> => (await node.metrics()).get(name) ?? NaN

describe('flows', () => {
  const toA = (flows: readonly string[]): number => flows.filter((flow) => flow.includes(`src=${podA} `)).length

  it('of UDP end with their endpoint’s service, those of TCP are left alone', async () => {
    node.createService('dns', { clusterIP: vip, ports: [{ port: 80, protocol: 'UDP' }] })
    node.createService('web', { clusterIP: '10.96.0.81', ports: [{ port: 80, protocol: 'TCP' }] })
    const both = (endpoints: Parameters<typeof node.setEndpoints>[1]): void => {
      node.setEndpoints('dns', endpoints, 'UDP')
      node.setEndpoints('web', endpoints)
    }
    both([{ address: podA }])
    await expect.poll(() => ask(client, 'udp', vip, 80), patience).toBe(clientAddress)
    await expect.poll(() => askTcp('10.96.0.81'), patience).toBe(clientAddress)
    expect(toA(await node.flows('udp', vip))).toBe(1)
    // New ones go to the other one, that one may finish.
    both([{ address: podA, conditions: terminating }, { address: podB }])
    await expect.poll(() => node.elements('svc4-eps-udp'), patience).toContain(podB)
    expect(toA(await node.flows('udp', vip))).toBe(1)
    both([{ address: podB }])
    await expect.poll(async () => toA(await node.flows('udp', vip)), patience).toBe(0)
    expect(toA(await node.flows('tcp', '10.96.0.81'))).toBe(1)
    expect(await value('kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"}')).toBe(1)
  })

  it('go to terminating endpoints as long as there is no better one', async () => {
    node.createService('web', { clusterIP: vip, ports: [{ port: 80, protocol: 'TCP' }] })
    node.setEndpoints('web', [{ address: podA, conditions: terminating }])
    await expect.poll(() => askTcp(), patience).toBe(clientAddress)
    node.setEndpoints('web', [{ address: podA, conditions: { ...terminating, serving: false } }])
    await expect.poll(() => askTcp(), patience).toContain('ECONNREFUSED')
  })
})

describe('the rules', () => {
  beforeEach(async () => {
    node.createService('web', { clusterIP: vip, ports: [{ port: 80, protocol: 'TCP' }] })
    node.setEndpoints('web', [{ address: podA }])
    await expect.poll(() => askTcp(), patience).toBe(clientAddress)
  })

  it.each([
    ['deletes the table', ['delete', 'table', 'ip', 'vcn-services']],
    ['empties its chains', ['flush', 'table', 'ip', 'vcn-services']],
    ['empties a map', ['flush', 'map', 'ip', 'vcn-services', 'svc4']],
  ])('are made anew when somebody %s', async (_what, command) => {
    expect(await node.nft(...command)).toBe('')
    await expect.poll(() => node.logged('services.repaired').length, patience).toBe(1)
    expect(await askTcp()).toBe(clientAddress)
    await expect.poll(async () => (await node.status())?.state, patience).toBe('running')
  })

  it('are made whole after a time in which the kernel refused them', async () => {
    const before = await value('kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}')
    // A table with an owner is nobody else's to change, and goes with its owner's socket.
    const thief = inNode(['nft', '-i'])
    thief.stdin.write('delete table ip vcn-services; add table ip vcn-services { flags owner; }\n')
    await expect.poll(() => node.logged('services.unrepaired').length, patience).toBeGreaterThan(0)
    node.createService('other', { clusterIP: '10.96.0.82', ports: [{ port: 80, protocol: 'TCP' }] })
    node.setEndpoints('other', [{ address: podB }])
    await expect.poll(async () => (await node.status())?.state, patience).toBe('failing')
    expect(await value('kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"}')).toBeGreaterThan(0)
    thief.stdin.end()
    await expect.poll(() => askTcp('10.96.0.82'), patience).toBe(clientAddress)
    expect(await askTcp()).toBe(clientAddress)
    await expect.poll(async () => (await node.status())?.state, patience).toBe('running')
    const after = await value('kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}')
    expect(after).toBeGreaterThan(before)
  })

  it('stay when a kube-proxy comes, which is said until it is gone', async () => {
    await node.nft('add', 'table', 'ip', 'kube-proxy')
    const slow = { timeout: 60_000, interval: 100 }
    await expect.poll(() => value('vcn_cni_service_rivals'), slow).toBe(1)
    expect(await askTcp()).toBe(clientAddress)
    expect(node.logged('services.rival')).toHaveLength(1)
    const { state, problems = [] } = (await node.status()) ?? {}
    expect(state).toBe('running')
    expect(problems).toContain('kube-proxy is on this node, too: table ip kube-proxy (nftables)')
    // The next agent keeps them right, too: old ones would lead to pods that are gone.
    await node.cluster.node.stopAgent()
    await node.cluster.node.startAgent()
    node.setEndpoints('web', [{ address: podB }])
    await expect.poll(() => node.elements('svc4-eps-tcp'), patience).toContain(podB)
    await expect.poll(() => value('vcn_cni_service_rivals'), slow).toBe(1)
    await node.nft('delete', 'table', 'ip', 'kube-proxy')
    await expect.poll(() => value('vcn_cni_service_rivals'), slow).toBe(0)
    expect(node.logged('services.rival.gone')).toHaveLength(1)
  }, 120_000)

  it('can be taken away when the agent is gone, as often as one likes', async () => {
    const cleanup = async (...flags: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await node.run(vcnctlPath, 'proxy', 'cleanup', ...flags)
      return `${code} ${stdout}${stderr}`
    }
    const before = await node.nft('list', 'tables')
    const toAgent = ['--socket', node.cluster.node.socketPath]
    expect(await cleanup(...toAgent)).toMatch(/^1 .*serves Services and would make table ip vcn-services again: turn/)
    expect(await node.nft('list', 'tables')).toBe(before)
    // Where it cannot be asked.
    expect(await cleanup()).toMatch(/^1 .*made table ip vcn-services again: turn the service proxy off in agent\.yaml/)
    await node.cluster.node.stopAgent()
    expect(await cleanup(...toAgent)).toBe('0 removed table ip vcn-services\n')
    expect(await node.nft('list', 'tables')).not.toContain('vcn-services')
    expect(await cleanup()).toBe('0 table ip vcn-services is not there\n')
  })
})

it('a restart of the agent keeps connections, choices of clients, and rules', async () => {
  node.createService('web', {
    clusterIP: vip,
    ports: [{ port: 80, protocol: 'TCP' }],
    sessionAffinity: 'ClientIP',
  })
  node.setEndpoints('web', [{ address: podA }, { address: podB }])
  await expect.poll(() => askTcp(), patience).toBe(clientAddress)
  const choice = /10\.0\.4\.12 \. 10\.96\.0\.80 \. 80 .*: (10\.0\.4\.\d+) \. 8080/
  const chosen = async (): Promise<string> => choice.exec(await node.elements('aff4-tcp-10800'))?.[1] ?? 'none'
  const first = await chosen()
  expect([podA, podB]).toContain(first)
  node.createService('chat', { clusterIP: '10.96.0.83', ports: [{ port: 80, protocol: 'TCP' }] })
  node.setEndpoints('chat', [{ address: podA }])
  await expect.poll(() => askTcp('10.96.0.83'), patience).toBe(clientAddress)
  const listener = inPod(podAPath, ['socat', 'TCP-LISTEN:9000,reuseaddr', 'EXEC:cat'])
  node.put('endpointslices.discovery.k8s.io', chatAt9000())
  await expect.poll(() => node.elements('svc4-eps-tcp'), patience).toContain('9000')
  const talker = inPod(client, ['socat', 'STDIO', 'TCP:10.96.0.83:80'])
  const heard: string[] = []
  createInterface({ input: talker.stdout }).on('line', (line) => void heard.push(line))
  talker.stdin.write('before\n')
  await expect.poll(() => heard, patience).toEqual(['before'])

  await node.cluster.node.stopAgent()
  expect(await askTcp()).toBe(clientAddress)
  await node.cluster.node.startAgent()
  await expect.poll(async () => (await node.status())?.state, patience).toBe('running')
  talker.stdin.write('after\n')
  await expect.poll(() => heard, patience).toEqual(['before', 'after'])
  expect(listener.exitCode).toBeNull()
  expect(await chosen()).toBe(first)
  for (let round = 0; round < 5; round++) expect(await askTcp()).toBe(clientAddress)
  const endpoints = (await node.flows('tcp', vip)).map((flow) => / src=(10\.0\.4\.1[01]) /.exec(flow)?.[1])
  expect(new Set(endpoints)).toEqual(new Set([first]))
})

function chatAt9000() {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'chat-1', labels: { 'kubernetes.io/service-name': 'chat' } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 9000, protocol: 'TCP' }],
    endpoints: [{ addresses: [podA] }],
  }
}

function inNode(argv: readonly string[]): ChildProcessWithoutNullStreams {
  return inPod(node.path, argv)
}

/** Until the test ends. */
function inPod(path: string, argv: readonly string[]): ChildProcessWithoutNullStreams {
  const [program = '', ...words] = inNetns(path, argv)
  const child = spawn(program, words, { stdio: 'pipe' })
  scope.defer(() => void child.kill('SIGKILL'))
  return child
}
