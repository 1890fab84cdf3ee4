// Annotations that cannot be followed: the pod gets no network, or none of the mesh's redirection, by the configuration.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { failure, istioPod, linkerdPod, MeshedNode, patience, type PodObject } from './meshed-node.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const cases: readonly (readonly [what: string, pod: PodObject, names: string])[] = [
  ['a profile that there is not', { annotations: { 'mesh.vcn-cni.io/profile': 'envoy' } }, 'mesh.vcn-cni.io/profile'],
  [
    'a port that is none',
    { ...linkerdPod, annotations: { 'config.linkerd.io/skip-outbound-ports': '80,http' } },
    'config.linkerd.io/skip-outbound-ports',
  ],
  [
    'a block that is none',
    {
      ...istioPod,
      annotations: { ...istioPod.annotations, 'traffic.sidecar.istio.io/excludeOutboundIPRanges': '10.0.0.0/33' },
    },
    'traffic.sidecar.istio.io/excludeOutboundIPRanges',
  ],
]

describe('with onInvalid: fail', () => {
  let node: MeshedNode
  beforeAll(async () => {
    node = await MeshedNode.start()
  })
  afterAll(async () => {
    await node[Symbol.asyncDispose]()
  })

  it.each(cases)('%s fails the ADD by name, and the DEL leaves nothing', async (what, pod, annotation) => {
    const name = what.replaceAll(' ', '-')
    node.putPod(name, pod)
    const netnsPath = node.cluster.node.addPodNetns()
    const attachment = node.attachment(name, { netnsPath })
    const answer = failure(await attachment.add())
    expect(answer).toEqual({ code: 105, text: expect.stringContaining(`default/${name}`) as unknown })
    expect(answer).toEqual({ code: 105, text: expect.stringContaining(annotation) as unknown })
    expect(await node.ruleset(netnsPath)).toBe('')
    expect(await attachment.del()).toEqual({ 'vcn-cni': 'done', 'vcn-mesh': 'done' })
    expect(await node.held()).toEqual([])
    expect(node.events()).toEqual([])
  })
})

describe('with onInvalid: unmeshed', () => {
  let node: MeshedNode
  beforeAll(async () => {
    node = await MeshedNode.start({ onInvalid: 'unmeshed' })
  })
  afterAll(async () => {
    await node[Symbol.asyncDispose]()
  })

  it.each(cases)(
    '%s leaves the pod without rules, which is told in its Events and in the log',
    async (what, pod, annotation) => {
      const name = what.replaceAll(' ', '-')
      const netnsPath = await node.run(name, pod)
      expect(await node.ruleset(netnsPath)).toBe('')
      const told = expect.stringMatching(new RegExp(`^default/${name} Unmeshed: .*${annotation}`)) as unknown
      await expect.poll(() => node.events(), patience).toContainEqual(told)
      expect(node.logged('mesh.invalid', `default/${name}`)).toEqual([
        expect.objectContaining({ onInvalid: 'unmeshed', problems: expect.stringContaining(annotation) as unknown }),
      ])
    },
  )
})
