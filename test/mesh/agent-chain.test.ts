// vcn-mesh among others: in the conflist, beside other requests, and with an agent that comes and goes.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { describe, expect, it, vi } from 'vitest'
import { fetchMeshCheck } from '../../src/cli/agent-client.ts'
import type { MeshCheck } from '../../src/agent/mesh/mesh-check.ts'
import type { JsonObject } from '../../src/kube/object.ts'
import { failure, istioPod, linkerdPod, MeshedNode, patience } from './meshed-node.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const types = (node: MeshedNode): readonly string[] => node.conflist().plugins.map(({ type }) => type)

/** As an installer does it. */
function append(node: MeshedNode, type: string): void {
  const conflist = node.conflist()
  writeFileSync(
    node.cluster.node.conflistPath,
    JSON.stringify({ ...conflist, plugins: [...conflist.plugins, { type }] }),
  )
}

async function restartWith(node: MeshedNode, mesh: JsonObject): Promise<void> {
  const { configPath } = node.cluster.node
  await node.cluster.node.stopAgent()
  const config = parse(readFileSync(configPath, 'utf8')) as { readonly kubernetes: JsonObject }
  writeFileSync(configPath, stringify({ ...config, kubernetes: { ...config.kubernetes, mesh } }))
  await node.cluster.node.startAgent()
}

describe('the conflist', () => {
  it('has vcn-mesh while meshes are on, and whatever others put there', async () => {
    await using node = await MeshedNode.start()
    expect(types(node)).toEqual(['vcn-cni', 'vcn-mesh'])
    append(node, 'tuning')
    await restartWith(node, { enabled: false })
    await expect.poll(() => types(node), patience).toEqual(['vcn-cni', 'tuning'])
    expect(existsSync(join(node.cluster.node.binDirectory, 'vcn-mesh'))).toBe(true)
    await restartWith(node, { enabled: true })
    await expect.poll(() => types(node), patience).toEqual(['vcn-cni', 'vcn-mesh', 'tuning'])
  })

  it('says who else does it: istio-cni for its pods, and not for those of linkerd', async () => {
    await using node = await MeshedNode.start()
    append(node, 'istio-cni')
    const istio = await node.run('istio', istioPod)
    const linkerd = await node.run('linkerd', linkerdPod)
    expect(await node.ruleset(istio)).toBe('')
    expect(await node.ruleset(linkerd)).toContain('table inet vcn-mesh')
  })

  it('of before meshes were turned off calls a vcn-mesh that hands the result on', async () => {
    await using node = await MeshedNode.start()
    const netnsPath = node.cluster.node.addPodNetns()
    const attachment = node.attachment('cached', { netnsPath })
    await restartWith(node, { enabled: false })
    expect(failure(await attachment.add())).toBe('succeeded')
    expect(await node.ruleset(netnsPath)).toBe('')
    expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
  })
})

it('ADDs that wait for their pods are in nobody’s way', async () => {
  await using node = await MeshedNode.start({ addTimeoutSeconds: 50 }, { config: { maxConcurrentRequests: 1 } })
  const waiting = Array.from({ length: 5 }, (_, index) => node.attachment(`late-${index}`).add())
  await expect.poll(async () => (await node.held()).length, patience).toBe(5)
  await node.run('early', istioPod)
  for (let index = 0; index < 5; index++) node.putPod(`late-${index}`, istioPod)
  expect((await Promise.all(waiting)).map(failure)).toEqual(Array(5).fill('succeeded'))
})

it('an agent killed between the two ADDs leaves error 11, and nothing after the DEL', async () => {
  await using node = await MeshedNode.start()
  node.putPod('halved', istioPod)
  const netnsPath = node.cluster.node.addPodNetns()
  const first = node.attachment('halved', { netnsPath }, ['vcn-cni'])
  const { json: prevResult } = await first.add()
  await node.cluster.node.killAgent()
  const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=halved'
  const call = { containerId: 'halved', netnsPath, args, program: 'vcn-mesh', config: { type: 'vcn-mesh', prevResult } }
  expect(failure(await node.cluster.node.cni('ADD', call))).toEqual({ code: 11, text: expect.any(String) as unknown })
  const whole = node.attachment('halved', { netnsPath })
  expect(await whole.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
  await node.cluster.node.startAgent()
  expect(await node.held()).toEqual([])
  expect(await node.ruleset(netnsPath)).toBe('')
})

it('STATUS is error 50 until the pods were listed', async () => {
  await using node = await MeshedNode.start()
  const status = async (): Promise<unknown> => {
    const env = { CNI_COMMAND: 'STATUS', CNI_PATH: node.cluster.node.binDirectory }
    const config = { cniVersion: '1.1.0', name: 'vcn-cni', type: 'vcn-mesh' }
    return failure(await node.cluster.node.execute('vcn-mesh', env, JSON.stringify(config)))
  }
  await expect.poll(status, patience).toBe('succeeded')
  const answer = { kind: 'reset' } as const
  await node.cluster.node.stopAgent()
  node.cluster.server.faults.add({ matches: ({ path }) => path.endsWith('/pods'), answer, times: Infinity })
  await node.cluster.node.startAgent()
  expect(await status()).toEqual({
    code: 50,
    text: expect.stringMatching(/has not listed the pods of node/) as unknown,
  })
  expect(await node.cluster.problems()).toMatch(/meshes: the API server has not listed the pods/)
  node.cluster.server.faults.clear()
  await expect.poll(status, patience).toBe('succeeded')
})

describe('the question about a pod’s mesh', () => {
  const ask = (node: MeshedNode, name: string): Promise<MeshCheck> =>
    fetchMeshCheck(node.cluster.node.socketPath, { namespace: 'default', name }, AbortSignal.timeout(10_000))

  it('is answered by rules, table and a connection that only the redirection can answer', async () => {
    await using node = await MeshedNode.start()
    const meshed = await node.run('meshed', linkerdPod)
    await node.run('plain', {})
    const refused = await ask(node, 'meshed')
    expect(refused).toMatchObject({
      pod: 'default/meshed',
      profile: 'linkerd',
      installer: 'vcn-mesh',
      table: 'as planned',
      probe: { target: '192.0.2.2:1404', outcome: 'refused' },
    })
    const plain = await ask(node, 'plain')
    expect(plain).toMatchObject({
      installer: 'nobody',
      table: 'not wanted',
      decision: 'not redirected: it has no sidecar',
    })
    expect(plain.probe.redirectedTo).toBeUndefined()
    expect(plain.probe.outcome).not.toBe('accepted')
    const listen = 'require("net").createServer().listen(4140,"127.0.0.1",()=>setTimeout(()=>process.exit(),20000))'
    void node.cluster.node.exec(meshed, [
      'setpriv',
      '--reuid',
      '2102',
      '--clear-groups',
      process.execPath,
      '-e',
      listen,
    ])
    const accepted = { outcome: 'accepted', redirectedTo: 4140 }
    await expect.poll(async () => (await ask(node, 'meshed')).probe, patience).toMatchObject(accepted)
    await node.cluster.node.exec(meshed, ['nft', 'flush', 'table', 'inet', 'vcn-mesh'])
    expect((await ask(node, 'meshed')).table).toBe('different')
    await node.cluster.node.exec(meshed, ['nft', 'delete', 'table', 'inet', 'vcn-mesh'])
    expect(await ask(node, 'meshed')).toMatchObject({ installer: 'nobody', table: 'missing' })
    await expect(ask(node, 'nobody')).rejects.toThrow(/no pod default\/nobody is attached on node/)
  })
})

it('a storm of ADDs beside the policy engine gives every pod its own rules', async () => {
  await using node = await MeshedNode.start({ addTimeoutSeconds: 30 }, { policy: 'vcn' })
  node.putNamespace('default')
  const names = Array.from({ length: 24 }, (_, index) => `pod-${index}`)
  const adds = names.map((name, index) => {
    const netnsPath = node.cluster.node.addPodNetns()
    // Some are known before, some while they wait.
    const put = (): void => node.putPod(name, index % 2 === 0 ? istioPod : linkerdPod)
    if (index % 3 === 0) put()
    else setTimeout(put, 100 + 10 * index)
    return { netnsPath, answer: node.attachment(name, { netnsPath }).add() }
  })
  expect((await Promise.all(adds.map(({ answer }) => answer))).map(failure)).toEqual(names.map(() => 'succeeded'))
  const rulesets = await Promise.all(adds.map(({ netnsPath }) => node.ruleset(netnsPath)))
  expect(new Set(rulesets.filter((_, index) => index % 2 === 0)).size).toBe(1)
  expect(new Set(rulesets.filter((_, index) => index % 2 === 1)).size).toBe(1)
  expect(new Set(rulesets).size).toBe(2)
})

it('a DEL that crosses a waiting ADD does not wait for it, and the ADD ends with an error', async () => {
  await using node = await MeshedNode.start({ addTimeoutSeconds: 30 })
  const netnsPath = node.cluster.node.addPodNetns()
  const attachment = node.attachment('gone', { netnsPath })
  const adding = attachment.add()
  await expect.poll(() => node.held(), patience).toEqual(['default/gone attached'])
  expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
  node.cluster.node.removePodNetns(netnsPath)
  node.putPod('gone', istioPod)
  expect(failure(await adding)).toEqual({
    code: 4,
    text: expect.stringMatching(/CNI_NETNS.*does not exist/) as unknown,
  })
  expect(await node.held()).toEqual([])
})

it('an agent that starts without the API server serves pods once it is back', async () => {
  await using node = await MeshedNode.start({ addTimeoutSeconds: 30 })
  await node.cluster.node.stopAgent()
  node.cluster.apiAway()
  await node.cluster.node.startAgent()
  node.putPod('early', istioPod)
  const netnsPath = node.cluster.node.addPodNetns()
  const adding = node.attachment('early', { netnsPath }).add()
  await expect.poll(() => node.held(), patience).toEqual(['default/early attached'])
  node.cluster.apiBack()
  expect(failure(await adding)).toBe('succeeded')
  expect(await node.ruleset(netnsPath)).toContain('table inet vcn-mesh')
})
