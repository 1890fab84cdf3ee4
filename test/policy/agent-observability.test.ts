// What an operator sees of network policy on a running node: metrics, denied flows, the log and the status.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DeniedFlow, DeniedFlowsReport } from '../../src/agent/denied-flow.ts'
import { fetchDeniedFlows } from '../../src/cli/agent-client.ts'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { parsePrometheus } from '../services/prometheus-text.ts'
import { denyIngress, failure, patience, PoliciedNode } from './policied-node.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const [serverAddress, clientAddress] = ['10.0.4.10', '10.0.4.11']
const outside = '10.0.4.1'

let node: PoliciedNode
let server: string
let client: string

beforeAll(async () => {
  node = await PoliciedNode.start({
    policy: { engine: 'vcn', addTimeoutSeconds: 1, logDenied: true },
    config: { cooldownSeconds: 0 },
  })
  await node.ready()
  server = await node.run('server', { address: serverAddress, labels: { app: 'server' } })
  client = await node.run('client', { address: clientAddress })
  node.putPolicy('closed', { spec: { ...denyIngress, podSelector: { matchLabels: { app: 'server' } } } })
  await vi.waitUntil(
    async () => (await node.nft('list', 'map', 'ip', 'vcn-policy', 'to-pod')).includes('goto ingress'),
    patience,
  )
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

/** Datagrams, each a packet, of which none is answered. */
async function send(netnsPath: string, address: string, port: number, count: number): Promise<void> {
  const script = `for i in $(seq ${count}); do echo > /dev/udp/${address}/${port}; done`
  const { code, stderr } = await node.cluster.node.exec(netnsPath, ['bash', '-c', script])
  expect(`${code} ${stderr}`).toBe('0 ')
}

async function metrics(): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await node.exec('curl', '-s', '-m', '5', 'http://127.0.0.1:10247/metrics')
  return parsePrometheus(stdout)
}
const metric = async (name: string): Promise<number | undefined> => (await metrics()).get(name)
const dropped = (pod: string, direction: string): Promise<number | undefined> =>
  metric(`vcn_policy_dropped_packets_total{namespace="default",pod="${pod}",direction="${direction}"}`)

const denied = (): Promise<DeniedFlowsReport> =>
  fetchDeniedFlows(node.cluster.node.socketPath, AbortSignal.timeout(10_000))
async function flowTo(port: number): Promise<DeniedFlow | undefined> {
  return (await denied()).flows.find((flow) => flow.port === port)
}
const vcnctl = (...words: readonly string[]) =>
  node.exec(vcnctlPath, ...words, '--socket', node.cluster.node.socketPath)

describe('packets that a policy denies', () => {
  it('are counted one by one, for the pod and the direction whose policy it is', async () => {
    expect(await dropped('server', 'ingress')).toBe(0)
    await send(client, serverAddress, 1001, 3)
    expect(await dropped('server', 'ingress')).toBe(3)
    await send(client, serverAddress, 1001, 4)
    expect(await dropped('server', 'ingress')).toBe(7)
    expect(await dropped('server', 'egress')).toBe(0)
    expect(await dropped('client', 'egress')).toBe(0)
  })

  it('go on being counted from where they were when somebody deletes the table', async () => {
    const before = (await dropped('server', 'ingress')) ?? NaN
    await node.nft('delete', 'table', 'ip', 'vcn-policy')
    await expect.poll(() => node.logged('policy.repaired'), patience).toHaveLength(1)
    // More than before: nobody can tell by the kernel's numbers alone that it has begun anew.
    await send(client, serverAddress, 1002, before + 2)
    expect(await dropped('server', 'ingress')).toBe(2 * before + 2)
    expect(await metric('vcn_policy_sync_duration_seconds_count{kind="full"}')).toBe(2)
  })

  it('stay counted when their pod leaves, and its successor’s are added', async () => {
    const run = () => node.run('passing', { address: '10.0.4.12', labels: { app: 'server' } })
    const end = async (): Promise<void> => {
      expect(await node.cluster.del('passing')).toBe(0)
      node.deletePod('passing')
      await expect.poll(() => node.table(), patience).not.toContain(node.ifnameOf('passing'))
    }
    await run()
    await send(client, '10.0.4.12', 1003, 5)
    expect(await dropped('passing', 'ingress')).toBe(5)
    await end()
    await run()
    await send(client, '10.0.4.12', 1003, 6)
    expect(await dropped('passing', 'ingress')).toBe(11)
    await end()
    expect(await dropped('passing', 'ingress')).toBe(11)
  })

  it('of a forged source are counted apart', async () => {
    const spoofed = 'vcn_policy_spoofed_packets_total{namespace="default",pod="client"}'
    const before = (await metric(spoofed)) ?? NaN
    const forge = 'ip address add 10.9.9.9/32 dev lo; ping -c 2 -i 0.2 -W 1 -I 10.9.9.9 '
    await node.cluster.node.exec(client, ['bash', '-c', `ip link set lo up; ${forge} ${serverAddress}`])
    expect(await metric(spoofed)).toBe(before + 2)
    expect((await vcnctl('policy', 'denied')).stdout).toMatch(
      /^2 packets under addresses that were not the pod’s dropped since this node’s rules were made anew; by pod: vcn_policy_spoofed_packets_total$/m,
    )
  })
})

describe('a flow that was denied', () => {
  it('is told with names and the policy that isolates', async () => {
    await send(client, serverAddress, 2001, 2)
    expect(await flowTo(2001)).toEqual({
      direction: 'ingress',
      from: { kind: 'pod', key: 'default/client', address: clientAddress },
      to: { kind: 'pod', key: 'default/server', address: serverAddress },
      protocol: 'UDP',
      port: 2001,
      packets: 2,
      decision: {
        isAllowed: false,
        by: 'isolation',
        policies: [{ kind: 'NetworkPolicy', key: 'default/closed' }],
      },
    })
  })

  it('is a line of vcnctl policy denied, and of its JSON', async () => {
    await send(client, serverAddress, 2002, 2)
    const { stdout } = await vcnctl('policy', 'denied')
    expect(stdout.split('\n').find((line) => line.includes('2002/UDP'))).toMatch(
      /^default\/client \(10\.0\.4\.11\) +default\/server \(10\.0\.4\.10\) +2002\/UDP +ingress of default\/server +2 +isolated by NetworkPolicy default\/closed,/,
    )
    const report = JSON.parse((await vcnctl('policy', 'denied', '--json')).stdout) as DeniedFlowsReport
    expect(report.flows).toContainEqual(await flowTo(2002))
  })

  it('is told again by vcnctl policy denied --watch as more of it is denied, until nobody reads', async () => {
    const command = `${vcnctlPath} policy denied --watch --json --socket ${node.cluster.node.socketPath}`
    const over = new AbortController()
    const watching = node.exec('bash', '-c', `${command} | grep --line-buffered :2006, | head -n 2`)
    void watching.finally(() => over.abort())
    while (!over.signal.aborted) await send(client, serverAddress, 2006, 1)
    const lines = (await watching).stdout.trim().split('\n')
    const [first, second] = lines.map(
      (line) => JSON.parse(line) as DeniedFlow & { readonly at: string; readonly node: string },
    )
    const { name } = node.cluster.node
    expect(second).toMatchObject({ node: name, port: 2006, direction: 'ingress', to: { key: 'default/server' } })
    expect(Date.parse(second?.at ?? '')).toBeGreaterThan(Date.parse(first?.at ?? ''))
    expect(second?.packets).toBeGreaterThan(first?.packets ?? NaN)
  })

  it('is a line with the time; the watch ends without a word when it is asked to', async () => {
    const command = `${vcnctlPath} policy denied --watch --socket ${node.cluster.node.socketPath}`
    const untilShown = `exec 3< <(exec ${command} 2>&1); pid=$!; grep -m 1 2007/UDP <&3; kill -TERM $pid; cat <&3; wait $pid; echo $?`
    const watching = node.exec('bash', '-c', untilShown)
    await send(client, serverAddress, 2007, 1)
    const { stdout } = await watching
    const lines = stdout.trim().split('\n')
    expect(lines[0]).toMatch(
      /^20\S+Z default\/client .* 2007\/UDP: denied at ingress of default\/server, 1 packet: isolated/,
    )
    expect(lines.filter((line) => !line.startsWith('20'))).toEqual(['143'])
  })

  it('from a pod to an address outside names the pod’s own policy; ICMP has no port', async () => {
    node.putPolicy('no-egress', {
      spec: { podSelector: { matchLabels: { app: 'server' } }, policyTypes: ['Egress'] },
    })
    await expect.poll(() => node.nft('list', 'map', 'ip', 'vcn-policy', 'from-pod'), patience).toContain('goto egress')
    await send(server, outside, 2003, 1)
    expect(await flowTo(2003)).toMatchObject({
      direction: 'egress',
      from: { kind: 'pod', key: 'default/server' },
      to: { kind: 'outside', address: outside },
      decision: { by: 'isolation', policies: [{ kind: 'NetworkPolicy', key: 'default/no-egress' }] },
    })
    await node.cluster.node.exec(server, ['ping', '-c', '1', '-W', '1', outside])
    const pings = (await denied()).flows.filter(({ protocol }) => protocol === 'ICMP')
    expect(pings).toHaveLength(1)
    expect(pings[0]).not.toHaveProperty('port')
    node.deletePolicy('no-egress')
  })

  it('to a node that a pod on its network tells the name of', async () => {
    const { name, nodeAddress } = node.cluster.node
    node.putPod('agent', { address: nodeAddress, hostNetwork: true })
    node.putPolicy('no-egress', {
      spec: { podSelector: { matchLabels: { app: 'server' } }, policyTypes: ['Egress'] },
    })
    await expect.poll(() => node.nft('list', 'map', 'ip', 'vcn-policy', 'from-pod'), patience).toContain('goto egress')
    await send(server, nodeAddress, 2004, 1)
    expect(await flowTo(2004)).toMatchObject({ direction: 'egress', to: { kind: 'node', name } })
    node.deletePolicy('no-egress')
  })

  it('says when the policy of now would let it through', async () => {
    await send(client, serverAddress, 2005, 1)
    node.deletePolicy('closed')
    await expect.poll(async () => (await flowTo(2005))?.decision, patience).toEqual({ isAllowed: true, by: 'default' })
    expect((await vcnctl('policy', 'denied')).stdout).toContain('allowed by now: no policy isolates it')
    node.putPolicy('closed', { spec: { ...denyIngress, podSelector: { matchLabels: { app: 'server' } } } })
    await expect.poll(async () => (await flowTo(2005))?.decision.isAllowed, patience).toBe(false)
  })
})

describe('the log', () => {
  it('tells a flow once, with names', async () => {
    await send(client, serverAddress, 3001, 1)
    const lines = () => node.logged('policy.denied').filter(({ port }) => port === 3001)
    await expect.poll(lines, patience).toHaveLength(1)
    expect(lines()[0]).toMatchObject({
      direction: 'ingress',
      from: 'default/client',
      fromAddress: clientAddress,
      to: 'default/server',
      toAddress: serverAddress,
      protocol: 'UDP',
      packets: 1,
      because: 'isolated by NetworkPolicy default/closed, and no rule of it allows this',
    })
    await send(client, serverAddress, 3001, 3)
    await send(client, serverAddress, 3002, 1)
    await expect.poll(() => node.logged('policy.denied').filter(({ port }) => port === 3002), patience).toHaveLength(1)
    expect(lines()).toHaveLength(1)
  })

  it('of a scan is at most 50 lines a second, and how many more there were', async () => {
    const flows = 400
    const script = `for i in $(seq 4001 ${4000 + flows}); do echo > /dev/udp/${serverAddress}/$i; done`
    await node.cluster.node.exec(client, ['bash', '-c', script])
    const isOfScan = ({ port }: { readonly port?: unknown }): boolean => Number(port) > 4000
    const scanned = () => node.logged('policy.denied').filter(isOfScan)
    const more = (): number => node.logged('policy.denied.more').reduce((sum, line) => sum + Number(line['flows']), 0)
    await expect.poll(() => scanned().length + more(), patience).toBe(flows)
    const times = scanned().map(({ time }) => new Date(typeof time === 'string' ? time : Number(time)).getTime())
    expect(times.length).toBeGreaterThanOrEqual(50)
    // The agent looks once a second, and clocks of logs count milliseconds.
    for (const [index, time] of times.slice(50).entries()) expect(time - (times[index] ?? NaN)).toBeGreaterThan(990)
  })
})

describe('the metrics', () => {
  it('tell what the engine has, and how long it took', async () => {
    const now = await metrics()
    for (const [name, least] of [
      ['vcn_policy_chains', 8],
      ['vcn_policy_rules', 20],
      ['vcn_policy_sets', 8],
      ['vcn_policy_set_elements', 10],
      ['vcn_policy_sync_duration_seconds_count{kind="full"}', 1],
      ['vcn_policy_sync_duration_seconds_count{kind="partial"}', 1],
      ['vcn_policy_programming_duration_seconds_count', 1],
      ['vcn_policy_last_sync_timestamp_seconds', 1_700_000_000],
    ] as const)
      expect(now.get(name), name).toBeGreaterThanOrEqual(least)
    expect(now.get('vcn_policy_pods')).toBe(2)
    expect(now.get('vcn_policy_selected_pods')).toBe(1)
    expect(now.get('vcn_policy_policies')).toBe(1)
    expect(now.get('vcn_policy_problem_policies')).toBe(0)
    expect(now.get('vcn_policy_sync_failures_total')).toBe(0)
  })

  it('count every ADD’s wait, and those in vain', async () => {
    const [waits, timeouts] = ['vcn_policy_add_wait_duration_seconds_count', 'vcn_policy_add_timeouts_total']
    const before = await metrics()
    const sum = before.get('vcn_policy_add_wait_duration_seconds_sum') ?? NaN
    expect(failure(await node.add('ghost'))).toMatchObject({ code: 11 })
    const after = await metrics()
    expect(after.get(waits)).toBe((before.get(waits) ?? NaN) + 1)
    expect(after.get(timeouts)).toBe((before.get(timeouts) ?? NaN) + 1)
    expect(after.get('vcn_policy_add_wait_duration_seconds_sum')).toBeGreaterThan(sum + 0.9)
  })

  it('are at loopback only, and at /metrics only', async () => {
    const code = async (url: string): Promise<string> =>
      (await node.exec('curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', url)).stdout
    expect(await code('http://127.0.0.1:10247/other')).toBe('404')
    expect(await code(`http://${node.cluster.node.nodeAddress}:10247/metrics`)).toBe('000')
  })
})

describe('vcnctl status', () => {
  it('tells how policy is, and what is wrong with which policy', async () => {
    node.putPolicy('broken', {
      spec: { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 0 }] }] },
    })
    await expect.poll(async () => (await node.policy())?.problems, patience).toHaveLength(1)
    const { stdout } = await vcnctl('status')
    expect(stdout).toMatch(/^policy: running$/m)
    expect(stdout).toMatch(
      /^policy: 2 of 2 pods are selected by policies, 2 policies in the cluster, kernel last complete 20\d\d-/m,
    )
    expect(stdout).toMatch(/^policy: problem: NetworkPolicy default\/broken: .*port/m)
    expect(await metric('vcn_policy_problem_policies')).toBe(1)
    node.deletePolicy('broken')
  })
})

describe('an agent that enforces no policy', () => {
  it('says so, in the status too, and serves no metrics of it', async () => {
    await using other = await PoliciedNode.start({ policy: 'off' })
    const run = (...words: readonly string[]) =>
      other.exec(vcnctlPath, ...words, '--socket', other.cluster.node.socketPath)
    const { code, stderr } = await run('policy', 'denied')
    expect(code).not.toBe(0)
    expect(stderr).toContain('this agent enforces no network policy')
    expect((await run('status')).stdout).toMatch(/^policy: off$/m)
    expect((await other.exec('curl', '-s', '-m', '5', 'http://127.0.0.1:10247/metrics')).code).toBe(7)
  })
})

it('a port that cannot be opened is a problem in the status, and policies are enforced all the same', async () => {
  const metrics = { address: '10.99.0.1', port: 10_247 }
  await using other = await PoliciedNode.start({ policy: { engine: 'vcn', metrics } })
  await other.ready()
  await expect.poll(async () => (await other.policy())?.state, patience).toBe('running')
  expect((await other.policy())?.problems).toEqual([
    'network policy metrics: cannot listen on 10.99.0.1 port 10247: no interface of this node has the address',
  ])
})
