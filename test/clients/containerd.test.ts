// Debian's containerd 1.6: `ctr run --cni`, and the sandboxes of pods over CRI as kubelet makes them.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { AttachmentStatus } from '../../src/agent/status.ts'
import { hostIfname } from '../../src/datapath/host-ifname.ts'
import { httpCommand, httpPort } from './busybox-image.ts'
import { kernelObjects } from './cni-answers.ts'
import { ContainerdInstance } from './containerd-instance.ts'
import { CriClient, type SandboxSpec } from './cri-client.ts'
import { observeNetns } from './node-links.ts'
import { TestNode } from './test-node.ts'
import { ask, ping, serveEcho } from './traffic.ts'

// Programs are started all the time here, and other test files share the processors.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const vcnAddress = '10.0.4.1'
const slow = { timeout: 30_000 }
let node: TestNode
let containerd: ContainerdInstance
let cri: CriClient
let pristine: readonly string[]

beforeAll(async () => {
  // Three addresses, so that the pool can be emptied. As Oracle's controller attaches VNICs: plugins-chain.test.ts tells why.
  const addresses = ['10.0.4.10', '10.0.4.11', '10.0.4.12']
  node = await TestNode.start({ addresses, portmap: true, skipSourceDestCheck: true, config: { cooldownSeconds: 0 } })
  node.addReferencePlugins('loopback')
  containerd = await ContainerdInstance.start(node)
  cri = new CriClient(containerd.socketPath)
  pristine = kernelObjects(node.netnsPath)
})
afterAll(async () => {
  cri[Symbol.dispose]()
  await containerd[Symbol.asyncDispose]()
  await node[Symbol.asyncDispose]()
})

afterEach(async () => {
  await containerd.removeAll()
  for (const { containerId } of await attachments()) await node.cni('DEL', { containerId })
})

async function attachments(): Promise<readonly AttachmentStatus[]> {
  return (await node.status()).attachments
}

async function expectNothingLeft(): Promise<void> {
  expect(await attachments()).toEqual([])
  expect(kernelObjects(node.netnsPath)).toEqual(pristine)
}

describe('ctr run --cni', () => {
  it('gives a container an address that node, VCN and other containers reach, and takes it back at its end', async () => {
    const [first, second] = [`${node.name}-a`, `${node.name}-b`]
    await using one = await containerd.run(first, ...httpCommand)
    await using two = await containerd.run(second, ...httpCommand)
    await expect.poll(attachments, slow).toHaveLength(2)
    const [a, b] = await Promise.all([first, second].map(attachmentOf))
    if (a === undefined || b === undefined) throw new Error('not attached')
    await expect.poll(() => ask(node.vcnNetnsPath, 'http', a.address, httpPort), slow).toBe(vcnAddress)
    expect(await ask(node.netnsPath, 'http', a.address, httpPort)).toBe(node.nodeAddress)
    await expect.poll(() => ask(a.netns, 'http', b.address, httpPort), slow).toBe(a.address)
    await containerd.killTask(first)
    await containerd.killTask(second)
    await expect.poll(() => one.hasEnded && two.hasEnded, slow).toBe(true)
    await expectNothingLeft()
  })

  it('lets the container see its address and the route', async () => {
    const id = `${node.name}-c`
    await using container = await containerd.run(id, '/bin/busybox', 'sh', '-c', 'ip address show eth0; ip route')
    await expect.poll(() => container.hasEnded, slow).toBe(true)
    expect(containerd.outputOf(id)).toMatch(/inet 10\.0\.4\.1\d\/32 scope global eth0/)
    expect(containerd.outputOf(id)).toContain('default via 169.254.1.1 dev eth0')
    await expectNothingLeft()
  })

  async function attachmentOf(id: string): Promise<AttachmentStatus | undefined> {
    return (await attachments()).find(({ containerId }) => containerId === `default-${id}`)
  }
})

describe('CRI', () => {
  let pods = 0

  function newPod(fields: Partial<SandboxSpec> = {}): SandboxSpec {
    const name = `pod-${++pods}`
    return { name, uid: `${node.name}-${name}`, namespace: 'team-a', ...fields }
  }

  async function stopAndRemove(...ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      await cri.stopPodSandbox(id)
      await cri.removePodSandbox(id)
    }
  }

  it('has a network that is ready', async () => {
    expect(await cri.conditions()).toMatchObject([
      { type: 'RuntimeReady', status: true },
      { type: 'NetworkReady', status: true },
    ])
  })

  it('shows a sandbox under the address of the agent, which knows the pod', async () => {
    const pod = newPod()
    const id = await cri.runPodSandbox(pod)
    const [attachment, ...others] = await attachments()
    if (attachment === undefined) throw new Error('not attached')
    expect(others).toEqual([])
    const { name, namespace, uid } = pod
    expect(attachment).toMatchObject({ containerId: id, ifname: 'eth0', pod: { name, namespace, uid } })
    expect(attachment.hostIfname).toBe(hostIfname(attachment, { namespace, name }))
    const status = await cri.podSandboxStatus(id)
    expect(status).toEqual({ state: 'SANDBOX_READY', network: { ip: attachment.address } })

    const { routes, links } = observeNetns(attachment.netns)
    expect(links.map((link) => link.name)).toEqual(['lo', 'eth0'])
    expect(routes.find(({ destination }) => destination.prefixLength === 0)?.gateway).toBe('169.254.1.1')
    expect(await ping(node.netnsPath, attachment.address)).toBe('answered')
    await expect.poll(() => ask(node.vcnNetnsPath, 'http', attachment.address, httpPort), slow).toBe(vcnAddress)
    expect(await ask(node.netnsPath, 'http', attachment.address, httpPort)).toBe(node.nodeAddress)
    await stopAndRemove(id)
    await expectNothingLeft()
  })

  it('lets pods reach each other', async () => {
    const ids = [await cri.runPodSandbox(newPod()), await cri.runPodSandbox(newPod())]
    const [a, b] = await attachments()
    if (a === undefined || b === undefined) throw new Error('not attached')
    await expect.poll(() => ask(a.netns, 'http', b.address, httpPort), slow).toBe(a.address)
    await expect.poll(() => ask(b.netns, 'http', a.address, httpPort), slow).toBe(b.address)
    await stopAndRemove(...ids)
    await expectNothingLeft()
  })

  it('takes the network away when the sandbox stops, and stops it as often as kubelet likes', async () => {
    const id = await cri.runPodSandbox(newPod())
    const [attachment] = await attachments()
    await cri.stopPodSandbox(id)
    await expectNothingLeft()
    expect(await cri.podSandboxStatus(id)).toMatchObject({ state: 'SANDBOX_NOTREADY' })
    await cri.stopPodSandbox(id)
    await cri.removePodSandbox(id)
    await cri.removePodSandbox(id)
    expect(await ping(node.vcnNetnsPath, attachment?.address ?? '', { waitS: 1 })).toContain(
      'Destination Host Unreachable',
    )
  })

  it('maps host ports, TCP and UDP, through portmap', async () => {
    const portMappings = [
      { protocol: 'TCP', containerPort: httpPort, hostPort: 30_080 },
      { protocol: 'UDP', containerPort: 5353, hostPort: 30_053 },
    ] as const
    const id = await cri.runPodSandbox(newPod({ portMappings }))
    const [attachment] = await attachments()
    await using _udp = await serveEcho(node.directory, attachment?.netns ?? '', 5353)
    await expect.poll(() => ask(node.vcnNetnsPath, 'http', node.nodeAddress, 30_080), slow).toBe('10.0.0.1')
    expect(await ask(node.netnsPath, 'http', node.nodeAddress, 30_080)).toBe(node.nodeAddress)
    expect(await ask(node.vcnNetnsPath, 'udp', node.nodeAddress, 30_053)).toBe('10.0.0.1')
    await stopAndRemove(id)
    expect(await ask(node.vcnNetnsPath, 'http', node.nodeAddress, 30_080)).toContain('ECONNREFUSED')
    await expectNothingLeft()
  })

  it('starts a pod’s next sandbox while the one before is still there', async () => {
    const pod = newPod()
    const older = await cri.runPodSandbox(pod)
    const newer = await cri.runPodSandbox({ ...pod, attempt: 1 })
    await stopAndRemove(older)
    const [attachment] = await attachments()
    expect(await attachments()).toMatchObject([{ containerId: newer }])
    expect(await ping(node.vcnNetnsPath, attachment?.address ?? '')).toBe('answered')
    await stopAndRemove(newer)
    await expectNothingLeft()
  })

  it('tells kubelet which pool is empty, leaves nothing of the pod, and serves it once there is room', async () => {
    const ids = []
    for (let count = 0; count < 3; count++) ids.push(await cri.runPodSandbox(newPod()))
    const pod = newPod()
    await expect(cri.runPodSandbox(pod)).rejects.toThrow('VNIC pods has 3 addresses: 3 held')
    expect((await attachments()).map(({ containerId }) => containerId).sort()).toEqual(ids.toSorted())
    await stopAndRemove(...ids.splice(0, 1))
    ids.push(await cri.runPodSandbox(pod))
    await stopAndRemove(...ids)
    await expectNothingLeft()
  })

  it('tells kubelet to try again while the agent is away; a pod that stops meanwhile is gone when it is back', async () => {
    const id = await cri.runPodSandbox(newPod())
    await node.stopAgent()
    const pod = newPod()
    await expect(cri.runPodSandbox(pod)).rejects.toThrow("no answer from the node's agent, try again later")
    await stopAndRemove(id)
    await node.startAgent()
    await expectNothingLeft()
    await stopAndRemove(await cri.runPodSandbox(pod))
    await expectNothingLeft()
  })
})
