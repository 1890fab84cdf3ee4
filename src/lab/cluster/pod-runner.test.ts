import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { silentLogger } from '../../base/logger.ts'
import { unwrap } from '../../base/result.ts'
import type { ApiClient } from '../../kube/api-client.ts'
import { createApiClient } from '../../kube/http-api-client.ts'
import { loadKubeConfig } from '../../kube/kube-config.ts'
import { nodes } from '../../kube/resources.ts'
import { createNamedNetns, listNamedNetns } from '../../linux/netns.ts'
import { KubeApiServer } from '../kube-api/server.ts'
import { labDown } from '../lab-down.ts'
import { planLab } from '../lab-plan.ts'
import type { LabState } from '../lab-state.ts'
import { claimLab, listPods, writeLabState } from '../lab-store.ts'
import { netnsPath, nodePaths } from '../names.ts'
import { processesIn } from '../process-scan.ts'
import { parseScenario } from '../scenario-file.ts'
import { type ClusterPod, clusterPods, isPodReady, statusText } from './cluster-pod.ts'
import { runNodeSide } from './node-side.ts'

// Real namespaces, processes and API; only the network plugin is a program of the test, which writes down its calls.

const scenario = unwrap(
  parseScenario(`
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }]
nodes: [{ name: n1, vnics: [{ name: ens3, subnet: nodes, primary: true }] }]
cluster: { podSubnets: [nodes] }
`),
)

const plugin = `#!/bin/sh
echo "$CNI_COMMAND $(basename "$CNI_NETNS")" >> "$(dirname "$0")/calls"
[ "$CNI_COMMAND" = ADD ] || exit 0
if [ -e "$(dirname "$0")/refuse" ]; then echo '{"cniVersion":"1.0.0","code":11,"msg":"no address yet"}'; exit 1; fi
echo '{"cniVersion":"1.0.0","ips":[{"address":"127.0.0.1/32"}]}'
`

const never = new AbortController().signal
const soon = { timeout: 15_000, interval: 50 }

class Rig implements AsyncDisposable {
  readonly lab: LabState = planLab(`t${randomBytes(5).toString('hex')}`, scenario, 1, '2026-01-01T00:00:00Z')
  readonly server: KubeApiServer
  readonly client: ApiClient
  readonly bin = nodePaths(this.lab.name, 'n1').cniBin
  #stop: () => Promise<void> = () => Promise.resolve()

  private constructor(server: KubeApiServer) {
    this.server = server
    const directory = mkdtempSync(`${tmpdir()}/pod-runner-`)
    writeFileSync(`${directory}/config`, server.kubeconfig())
    this.client = createApiClient(unwrap(loadKubeConfig({ kind: 'file', path: `${directory}/config` })), {
      userAgent: 'test',
    })
    rmSync(directory, { recursive: true })
  }

  static async make(): Promise<Rig> {
    const rig = new Rig(await KubeApiServer.start({ tls: true }))
    const { cniConf } = nodePaths(rig.lab.name, 'n1')
    unwrap(claimLab(rig.lab.name))
    writeLabState(rig.lab)
    createNamedNetns(rig.lab.nodes[0]?.netns ?? '')
    for (const directory of [rig.bin, cniConf]) mkdirSync(directory, { recursive: true })
    writeFileSync(`${rig.bin}/fake`, plugin)
    chmodSync(`${rig.bin}/fake`, 0o755)
    const list = { cniVersion: '1.0.0', name: 'net', plugins: [{ type: 'fake' }] }
    writeFileSync(`${cniConf}/10-fake.conflist`, JSON.stringify(list))
    unwrap(await rig.client.create(nodes, { metadata: { name: 'n1' }, spec: {} }, never))
    rig.start()
    return rig
  }

  start(): void {
    const stopped = new AbortController()
    const { client, server, lab } = this
    const options = {
      client,
      server,
      lab: () => lab,
      logDirectory: `/run/vcn-lab/${lab.name}/pod-logs`,
      meshDirectory: `/run/vcn-lab/${lab.name}/mesh`,
      logger: silentLogger,
    }
    const running = runNodeSide(options, stopped.signal).catch(() => undefined)
    this.#stop = async () => {
      stopped.abort()
      await running
    }
  }

  stop(): Promise<void> {
    return this.#stop()
  }

  async create(name: string, container: object = {}, spec: object = {}): Promise<void> {
    const containers = [{ name: 'main', image: 'x', ...container }]
    const manifest = {
      metadata: { name, namespace: 'default' },
      spec: { terminationGracePeriodSeconds: 1, containers, ...spec },
    }
    unwrap(await this.client.create(clusterPods, manifest, never))
  }

  async pod(name: string): Promise<ClusterPod | undefined> {
    const got = await this.client.get(clusterPods, { namespace: 'default', name }, never)
    return got.ok ? got.value : undefined
  }

  async phase(name: string): Promise<string | undefined> {
    const pod = await this.pod(name)
    return pod && statusText(pod, 'phase')
  }

  async container(name: string): Promise<Record<string, unknown>> {
    const statuses = (await this.pod(name))?.status['containerStatuses']
    return Array.isArray(statuses) ? (statuses[0] as Record<string, unknown>) : {}
  }

  calls(): readonly string[] {
    const file = `${this.bin}/calls`
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  }

  netns(pod: string): string {
    return `vl-${this.lab.name}-p-${pod}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    this.client.close()
    await labDown(this.lab.name)
    await this.server[Symbol.asyncDispose]()
  }
}

test('a pod is bound, gets its network by an ADD, runs as a process in its namespace, and is reported', async () => {
  await using rig = await Rig.make()
  await rig.create('p', { command: ['sh', '-c', 'echo I am $WHO; sleep 1000'], env: [{ name: 'WHO', value: 'p' }] })
  await expect.poll(() => rig.phase('p'), soon).toBe('Running')
  const pod = await rig.pod('p')
  expect(pod && isPodReady(pod)).toBe(true)
  expect(pod?.nodeName).toBe('n1')
  expect(pod?.status).toMatchObject({ podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] })
  expect(rig.calls()).toEqual([`ADD ${rig.netns('p')}`])
  expect(processesIn([rig.netns('p')]).length).toBeGreaterThan(0)
  const log = `/run/vcn-lab/${rig.lab.name}/pod-logs/default_p_main.log`
  await expect.poll(() => readFileSync(log, 'utf8'), soon).toBe('I am p\n')
})

test('a deleted pod is stopped, gets its DEL, and only then goes', async () => {
  await using rig = await Rig.make()
  await rig.create('p')
  await expect.poll(() => rig.phase('p'), soon).toBe('Running')
  unwrap(await rig.client.delete(clusterPods, { namespace: 'default', name: 'p' }, {}, never))
  await expect.poll(() => rig.pod('p'), soon).toBeUndefined()
  expect(rig.calls()).toEqual([`ADD ${rig.netns('p')}`, `DEL ${rig.netns('p')}`])
  expect(listNamedNetns()).not.toContain(rig.netns('p'))
  expect(listPods(rig.lab.name)).toEqual([])
})

test('a container with a preStop pause gets its SIGTERM after that', async () => {
  await using rig = await Rig.make()
  const program = 'trap "date +%s%3N; exit" TERM; echo up; while :; do sleep 0.02; done'
  const lifecycle = { preStop: { sleep: { seconds: 1 } } }
  await rig.create('p', { command: ['sh', '-c', program], lifecycle }, { terminationGracePeriodSeconds: 20 })
  const log = (): string => readFileSync(`/run/vcn-lab/${rig.lab.name}/pod-logs/default_p_main.log`, 'utf8')
  await expect.poll(() => rig.phase('p'), soon).toBe('Running')
  await expect.poll(log, soon).toBe('up\n')
  const askedMs = Date.now()
  unwrap(await rig.client.delete(clusterPods, { namespace: 'default', name: 'p' }, {}, never))
  await expect.poll(() => rig.pod('p'), soon).toBeUndefined()
  // The shell may say meanwhile that what it waited for was terminated.
  const toldMs = Number(/^\d+$/m.exec(log())?.[0])
  // A lower bound: however slow the machine is, it holds.
  expect(toldMs).toBeGreaterThanOrEqual(askedMs + 1000)
})

test('a refused ADD is told as the reason of a pending pod and as an event, and tried again', async () => {
  await using rig = await Rig.make()
  writeFileSync(`${rig.bin}/refuse`, '')
  await rig.create('p')
  await expect
    .poll(async () => JSON.stringify((await rig.container('p'))['state']), soon)
    .toMatch(/ContainerCreating.*no address yet/)
  const reasons = (): readonly unknown[] => rig.server.store.list('events').map((event) => event['reason'])
  await expect.poll(reasons, soon).toContain('FailedCreatePodSandBox')
  rmSync(`${rig.bin}/refuse`)
  await expect.poll(() => rig.phase('p'), soon).toBe('Running')
})

test('a container that ends is started again, and counted', async () => {
  await using rig = await Rig.make()
  await rig.create('p', { command: ['sh', '-c', 'exit 3'] })
  await expect.poll(async () => (await rig.container('p'))['restartCount'], soon).toBeGreaterThanOrEqual(2)
  expect(await rig.container('p')).toMatchObject({ lastState: { terminated: { exitCode: 3, reason: 'Error' } } })
})

test.each([
  ['0', 'Succeeded'],
  ['1', 'Failed'],
])('a container that ends for good with %s leaves a pod that has %s, without its network', async (code, phase) => {
  await using rig = await Rig.make()
  await rig.create('p', { command: ['sh', '-c', `exit ${code}`] }, { restartPolicy: 'Never' })
  await expect.poll(() => rig.phase('p'), soon).toBe(phase)
  await expect.poll(() => listNamedNetns(), soon).not.toContain(rig.netns('p'))
  expect(rig.calls()).toEqual([`ADD ${rig.netns('p')}`, `DEL ${rig.netns('p')}`])
})

test('a pod is ready when its probe says so, and no longer when it does not', async () => {
  await using rig = await Rig.make()
  const file = `${rig.bin}/healthy`
  await rig.create('p', {
    readinessProbe: { exec: { command: ['test', '-e', file] }, periodSeconds: 1, failureThreshold: 1 },
  })
  await expect.poll(() => rig.phase('p'), soon).toBe('Running')
  const ready = async (): Promise<boolean> => isPodReady((await rig.pod('p')) ?? { status: {} })
  expect(await ready()).toBe(false)
  writeFileSync(file, '')
  await expect.poll(ready, soon).toBe(true)
  rmSync(file)
  await expect.poll(ready, soon).toBe(false)
})

test('a new process keeps the pods it finds, with their network, and takes down those whose object has gone', async () => {
  await using rig = await Rig.make()
  await rig.create('stays')
  await rig.create('goes')
  for (const name of ['stays', 'goes']) await expect.poll(() => rig.phase(name), soon).toBe('Running')
  await rig.stop()
  const [record] = listPods(rig.lab.name).filter(({ name }) => name === 'stays')
  unwrap(await rig.client.delete(clusterPods, { namespace: 'default', name: 'goes' }, { gracePeriodSeconds: 0 }, never))
  rig.start()
  await expect.poll(() => listPods(rig.lab.name).map(({ name }) => name), soon).toEqual(['stays'])
  expect(listPods(rig.lab.name)).toEqual([record])
  await expect.poll(() => processesIn([rig.netns('stays')]).length, soon).toBeGreaterThan(0)
  expect(rig.calls().filter((call) => call.includes('stays'))).toEqual([`ADD ${rig.netns('stays')}`])
  expect(existsSync(netnsPath(rig.netns('goes')))).toBe(false)
})
