// The plugin vcn-mesh behind vcn-cni, from the runtime's calls to the rules in the pod's namespace.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { meshPods } from '../../src/kube/mesh-pod.ts'
import { decideRedirection } from '../../src/mesh/decide-redirection.ts'
import { meshTableName, redirectionTable } from '../../src/mesh/redirection-table.ts'
import { buildTable } from '../../src/nftables/diff.ts'
import { renderChanges } from '../../src/nftables/render.ts'
import { failure, istioPod, linkerdPod, MeshedNode, patience, type PodObject } from './meshed-node.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let node: MeshedNode

beforeAll(async () => {
  node = await MeshedNode.start()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

/** What nft makes of the planned table, in a namespace that knows nothing of the agent. */
async function planned(pod: PodObject): Promise<string> {
  const { annotations = {}, containers = [], initContainers = [] } = pod
  const raw = { metadata: { name: 'any', annotations }, spec: { containers, initContainers } }
  const surroundings = { chainedTypes: [], excludedNamespaces: [] }
  const decision = unwrap(decideRedirection(unwrap(meshPods.parse(raw)), surroundings))
  if (decision.kind === 'none') return ''
  const { structure, elements } = buildTable(redirectionTable(decision.redirection))
  const commands = [...renderChanges(meshTableName, [...structure, ...elements])].join('')
  const netns = node.cluster.node.addPodNetns()
  const loaded = await node.cluster.node.exec(netns, ['nft', '-f', '-'], `add table inet vcn-mesh\n${commands}`)
  expect(loaded.stderr).toBe('')
  return node.ruleset(netns)
}

const ports = Array.from({ length: 1000 }, (_, index) => 20_000 + 2 * index).join()
const tproxy = { ...istioPod, annotations: { ...istioPod.annotations, 'sidecar.istio.io/interceptionMode': 'TPROXY' } }

describe('a pod gets the table that its annotations ask for', () => {
  it.each<[what: string, pod: PodObject]>([
    ['istio', istioPod],
    ['istio, transparently', tproxy],
    ['linkerd', linkerdPod],
    ['a port list of a thousand', { ...linkerdPod, annotations: { 'config.linkerd.io/skip-outbound-ports': ports } }],
    [
      'generic',
      {
        annotations: {
          'mesh.vcn-cni.io/profile': 'generic',
          'mesh.vcn-cni.io/outbound-port': '9001',
          'mesh.vcn-cni.io/inbound-port': '9006',
          'mesh.vcn-cni.io/proxy-uid': '1500',
        },
      },
    ],
  ])('%s', async (what, pod) => {
    const name = what.replaceAll(/[^a-z]/g, '')
    const netns = await node.run(name, pod)
    const ruleset = await node.ruleset(netns)
    expect(ruleset).toContain('table inet vcn-mesh')
    expect(ruleset).toBe(await planned(pod))
    expect(node.logged('mesh.redirected', `default/${name}`)).toEqual([
      expect.objectContaining({
        profile: what.match(/^(istio|linkerd|generic)/)?.[0] ?? 'linkerd',
        installer: 'vcn-mesh',
      }),
    ])
  })

  it('with the routing that transparent proxying needs, in both families', async () => {
    const netns = await node.run('routed', tproxy)
    const ip = async (...words: readonly string[]): Promise<string> =>
      (await node.cluster.node.exec(netns, ['ip', ...words])).stdout
    for (const family of ['-4', '-6']) {
      expect(await ip(family, 'rule')).toContain('fwmark 0x539 lookup 133')
      expect(await ip(family, 'route', 'show', 'table', '133')).toMatch(/^local default dev lo/)
    }
  })
})

describe('nothing is done', () => {
  const istioInit = { ...istioPod, initContainers: [{ name: 'istio-init' }] }
  it.each<[what: string, pod: PodObject, because: string]>([
    ['to a pod without a sidecar', {}, 'it has no sidecar'],
    ['to one with istio-init', istioInit, 'its init container istio-init does it'],
    ['in an excluded namespace', { ...istioPod, namespace: 'kube-system' }, 'namespace kube-system is excluded'],
  ])('%s', async (what, pod, because) => {
    const name = what.replaceAll(/[^a-z]/g, '-')
    const netns = await node.run(name, pod)
    expect(await node.ruleset(netns)).toBe('')
    const key = `${pod.namespace ?? 'default'}/${name}`
    expect(node.logged('mesh.skipped', key)).toEqual([expect.objectContaining({ because })])
  })

  it.each([
    ['iptables-legacy', 'iptables-legacy', 'ISTIO_OUTPUT', 'istio'],
    ['iptables-nft', 'iptables-nft', 'PROXY_INIT_REDIRECT', 'linkerd'],
  ])('where somebody else’s chains are there already (%s)', async (name, tool, chain, installer) => {
    const netnsPath = node.cluster.node.addPodNetns()
    const made = await node.cluster.node.exec(netnsPath, [tool, '-t', 'nat', '-N', chain])
    expect(made.stderr).toBe('')
    node.putPod(name, istioPod)
    expect(failure(await node.attachment(name, { netnsPath }).add())).toBe('succeeded')
    expect(await node.ruleset(netnsPath)).not.toContain('vcn-mesh')
    expect(node.logged('mesh.skipped', `default/${name}`)).toEqual([
      expect.objectContaining({ profile: 'istio', installer }),
    ])
  })

  it('without a pod: what came is answered, in the version of the configuration', async () => {
    const netnsPath = node.cluster.node.addPodNetns()
    const prevResult = {
      interfaces: [{ name: 'eth0', sandbox: netnsPath }],
      ips: [{ version: '4', address: '10.0.4.99/32', interface: 0 }],
      routes: [],
      dns: { domain: 'x' },
    }
    const config = { type: 'vcn-mesh', cniVersion: '0.4.0', prevResult: { cniVersion: '0.4.0', ...prevResult } }
    const answer = await node.cluster.node.cni('ADD', {
      containerId: 'box',
      netnsPath,
      args: '',
      program: 'vcn-mesh',
      config,
    })
    expect(answer.json).toEqual({ cniVersion: '0.4.0', ...prevResult })
    expect(await node.ruleset(netnsPath)).toBe('')
  })
})

it('the chain’s result is vcn-cni’s', async () => {
  node.putPod('result', istioPod)
  const attachment = node.attachment('result')
  const { json } = await attachment.add()
  expect(json).toMatchObject({ cniVersion: '1.0.0', interfaces: [{}, { name: 'eth0' }], ips: [{ interface: 1 }] })
  expect(await attachment.check()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
  expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
  expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
})

describe('a pod that is not known', () => {
  it('is waited for', async () => {
    const netnsPath = node.cluster.node.addPodNetns()
    const adding = node.attachment('late', { netnsPath }).add()
    await delay(500)
    node.putPod('late', istioPod)
    expect(failure(await adding)).toBe('succeeded')
    expect(await node.ruleset(netnsPath)).toContain('table inet vcn-mesh')
  })

  it('gets error 11 in the end, which the DEL leaves nothing of', async () => {
    const before = await node.held()
    const netnsPath = node.cluster.node.addPodNetns()
    const attachment = node.attachment('ghost', { netnsPath })
    const because = /mesh of pod default\/ghost is not known: the API server has told of no pod default\/ghost on node/
    expect(failure(await attachment.add())).toEqual({ code: 11, text: expect.stringMatching(because) as unknown })
    expect(await node.ruleset(netnsPath)).toBe('')
    expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
    expect(await node.held()).toEqual(before)
  })

  it('under its uid is not judged by an older one’s annotations', async () => {
    node.putPod('again', { ...istioPod, uid: 'first' })
    const answer = failure(await node.attachment('again', { uid: 'second' }, ['vcn-cni', 'vcn-mesh']).add())
    expect(answer).toEqual({ code: 11, text: expect.stringContaining('with uid first, not second') as unknown })
  })

  it('but for its mirror is a static pod', async () => {
    const annotations = { ...istioPod.annotations, 'kubernetes.io/config.mirror': 'hash-of-the-file' }
    node.putPod('static', { ...istioPod, annotations, uid: 'of-the-mirror' })
    const netnsPath = node.cluster.node.addPodNetns()
    expect(failure(await node.attachment('static', { uid: 'hash-of-the-file', netnsPath }).add())).toBe('succeeded')
    expect(await node.ruleset(netnsPath)).toContain('table inet vcn-mesh')
  })
})

it('a repeated ADD of vcn-mesh gives the identical ruleset, handles aside', async () => {
  node.putPod('twice', tproxy)
  const netnsPath = node.cluster.node.addPodNetns()
  const first = await node.attachment('twice', { netnsPath }).add()
  const ruleset = await node.ruleset(netnsPath)
  const again = { type: 'vcn-mesh', prevResult: first.json }
  const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=twice;K8S_POD_UID=uid-of-default-twice'
  const call = { containerId: 'twice', netnsPath, args, program: 'vcn-mesh', config: again }
  expect(failure(await node.cluster.node.cni('ADD', call))).toBe('succeeded')
  expect(await node.ruleset(netnsPath)).toBe(ruleset)
  const rules = (await node.cluster.node.exec(netnsPath, ['ip', 'rule'])).stdout
  expect(rules.match(/lookup 133/g)).toHaveLength(1)
})

it('an ADD without a result before it is told where vcn-mesh belongs', async () => {
  const netnsPath = node.cluster.node.addPodNetns()
  const call = { containerId: 'alone', netnsPath, program: 'vcn-mesh', config: { type: 'vcn-mesh' } }
  const answer = failure(await node.cluster.node.cni('ADD', call))
  expect(answer).toEqual({ code: 7, text: expect.stringMatching(/vcn-mesh is a chained plugin/) as unknown })
})

it('CHECK tells that somebody flushed the table, or took it away', async () => {
  node.putPod('checked', istioPod)
  const netnsPath = node.cluster.node.addPodNetns()
  const attachment = node.attachment('checked', { netnsPath })
  expect(failure(await attachment.add())).toBe('succeeded')
  const nft = (...words: readonly string[]) => node.cluster.node.exec(netnsPath, ['nft', ...words])
  await nft('add', 'table', 'inet', 'foreign')
  expect((await attachment.check())['vcn-mesh']).toBe('done')
  await nft('flush', 'table', 'inet', 'vcn-mesh')
  expect((await attachment.check())['vcn-mesh']).toMatch(/"code":103.*default\/checked.*chain .* has 0 rules/)
  await nft('delete', 'table', 'inet', 'vcn-mesh')
  expect((await attachment.check())['vcn-mesh']).toMatch(/table inet vcn-mesh is missing/)
})

it('with the API server away, pods that are known are served', async () => {
  node.putPod('known', istioPod)
  await expect.poll(async () => failure(await node.attachment('known').add()), patience).toBe('succeeded')
  node.cluster.apiAway()
  try {
    const netnsPath = node.cluster.node.addPodNetns()
    node.removePod('known')
    expect(failure(await node.attachment('known', { netnsPath, container: 'known-2' }).add())).toBe('succeeded')
    expect(await node.ruleset(netnsPath)).toContain('table inet vcn-mesh')
  } finally {
    node.cluster.apiBack()
  }
})
