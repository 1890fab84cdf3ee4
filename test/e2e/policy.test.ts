import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canConnect, OpenRequest, type WebAddress } from '../../src/lab/cluster/web-client.ts'
import { clusterPaths } from '../../src/lab/cluster-paths.ts'
import { listPods, type PodRecord } from '../../src/lab/lab-store.ts'
import { nodeNetns } from '../../src/lab/names.ts'
import { clusterScenario, type Outcome, TestLab, vcnctl } from './test-lab.ts'

// Network policy in a whole cluster: policies by stock kubectl, the agents' rules, real connections, and what `explain` says.

const settles = { timeout: 20_000, interval: 50 }
const port = 8080
/** Longer than a connection takes, far shorter than TCP's patience. */
const quickMs = 400

const denyToWeb = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: deny-to-web }
spec: { podSelector: { matchLabels: { app: web } } }
`
const clusterDeny = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: keep-clients-off }
spec:
  tier: Admin
  priority: 10
  subject: { pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: web } } } }
  ingress:
    - name: no clients
      action: Deny
      from: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: client } } } }]
`
const invalid = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: invalid }
spec: { podSelector: { matchLabels: { app: web } }, ingress: [{ from: [{ ipBlock: { cidr: 10.0.0.0/64 } }] }] }
`

let lab: TestLab

beforeAll(async () => {
  lab = new TestLab()
  const sets = `[{ name: web, replicas: 2, port: ${port} }, { name: client, replicas: 2 }]`
  lab.writeScenario(clusterScenario({ preferBlocks: false, shrinkDelaySeconds: 5, sets }))
  await lab.up('--no-services')
}, 120_000)

afterAll(() => lab[Symbol.asyncDispose](), 60_000)

describe('network policy of a lab that is a cluster', { timeout: 120_000 }, () => {
  it('a deny by kubectl stops new and open connections, and its removal lets both go on', async () => {
    const [client, web] = onePodEach()
    expect(await verdicts()).toEqual(allOf('allowed'))
    using open = new OpenRequest(client.netns, addressOf(web))
    await open.connected
    await apply(denyToWeb)
    await expect.poll(verdicts, settles).toEqual(allOf('denied'))
    open.finish()
    await sleep(quickMs)
    expect(open.received).toBe('')
    const { exitCode, stdout } = await explain(client, web)
    expect(stdout).toContain(`isolated by NetworkPolicy default/deny-to-web, and no rule of it allows this`)
    expect(exitCode).toBe(1)
    expect(await canConnect(nodeNetns(lab.name, web.node), addressOf(web))).toBe(true)
    await kubectl('delete', 'netpol', 'deny-to-web')
    await expect.poll(() => open.received, settles).toContain(web.name)
    expect(await verdicts()).toEqual(allOf('allowed'))
    expect(await explain(client, web)).toMatchObject({ exitCode: 0 })
  })

  it('a ClusterNetworkPolicy decides before everything else, and explain names its rule', async () => {
    const [client, web] = onePodEach()
    await apply(clusterDeny)
    await expect.poll(verdicts, settles).toEqual(allOf('denied'))
    const { exitCode, stdout } = await explain(client, web)
    expect(stdout).toContain(
      'deny by ClusterNetworkPolicy keep-clients-off of the admin tier, rule spec.ingress[0] "no clients"',
    )
    expect(exitCode).toBe(1)
    expect((await kubectl('get', 'cnp')).stdout).toMatch(/keep-clients-off +Admin +10/)
    await kubectl('delete', 'cnp', 'keep-clients-off')
    await expect.poll(verdicts, settles).toEqual(allOf('allowed'))
  })

  it('an invalid policy fails closed, and an event on it tells why', async () => {
    const [client, web] = onePodEach()
    await apply(invalid)
    await expect.poll(verdicts, settles).toEqual(allOf('denied'))
    // kubectl describes NetworkPolicies without their events, unlike everything else.
    const events = async (): Promise<string> => (await kubectl('events', '--for', 'networkpolicy/invalid')).stdout
    await expect
      .poll(events, settles)
      .toMatch(/Warning +InvalidPolicy .*spec\.ingress\[0\]\.from\[0\]\.ipBlock\.cidr: "10\.0\.0\.0\/64"/)
    const { exitCode, stdout } = await explain(client, web)
    expect(stdout).toContain('warning: NetworkPolicy default/invalid fails closed where it is wrong')
    expect(exitCode).toBe(1)
    await kubectl('delete', 'netpol', 'invalid')
    await apply(clusterDeny.replace('Deny', 'Refuse'))
    const described = async (): Promise<string> => (await kubectl('describe', 'cnp', 'keep-clients-off')).stdout
    await expect
      .poll(described, settles)
      .toMatch(/Warning +InvalidPolicy .*spec\.ingress\[0\]\.action: must be Accept, Deny, Pass/)
    expect(await verdicts()).toEqual(allOf('denied'))
    await kubectl('delete', 'cnp', 'keep-clients-off')
    await expect.poll(verdicts, settles).toEqual(allOf('allowed'))
  })
})

type Verdict = 'allowed' | 'denied'

/** From every client to every web pod, on the same node and across. */
async function verdicts(): Promise<readonly Verdict[]> {
  const pairs = podsOf('client').flatMap((from) => podsOf('web').map((to) => ({ from, to })))
  return await Promise.all(
    pairs.map(async ({ from, to }) => ((await canConnect(from.netns, addressOf(to))) ? 'allowed' : 'denied')),
  )
}

function allOf(verdict: Verdict): readonly Verdict[] {
  return [verdict, verdict, verdict, verdict]
}

function podsOf(set: string): readonly PodRecord[] {
  return listPods(lab.name).filter(({ name }) => name.startsWith(`${set}-`))
}

function onePodEach(): readonly [PodRecord, PodRecord] {
  const [[client], [web]] = [podsOf('client'), podsOf('web')]
  if (client === undefined || web === undefined) throw new Error('the lab has no pods')
  return [client, web]
}

function addressOf({ address }: PodRecord): WebAddress {
  return { address: address ?? '', port, timeoutMs: quickMs }
}

async function apply(manifest: string): Promise<void> {
  const file = `${dirname(lab.scenarioFile)}/policy.yaml`
  writeFileSync(file, manifest)
  await kubectl('apply', '-f', file)
}

async function kubectl(...words: readonly string[]): Promise<Outcome> {
  const outcome = await lab.run('kubectl', ...words)
  if (outcome.exitCode !== 0) throw new Error(`kubectl ${words.join(' ')}: ${outcome.stderr}`)
  return outcome
}

function explain(from: PodRecord, to: PodRecord): Promise<Outcome> {
  const { kubeconfig } = clusterPaths(lab.name)
  const words = ['policy', 'explain', from.name, to.name, '--port', String(port), '--kubeconfig', kubeconfig]
  return new Promise((resolve) => {
    execFile(vcnctl, words, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : null
      resolve({ exitCode, stdout, stderr })
    })
  })
}
