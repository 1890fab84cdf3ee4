// podman 4.3 with CNI: containers on one machine, without Kubernetes.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import * as z from 'zod'
import type { AttachmentStatus } from '../../src/agent/status.ts'
import { httpCommand, httpPort } from './busybox-image.ts'
import { kernelObjects } from './cni-answers.ts'
import { observeNetns } from './node-links.ts'
import { PodmanInstance, testImage } from './podman-instance.ts'
import { TestNode } from './test-node.ts'
import { ask, ping, serveEcho } from './traffic.ts'

// Programs are started all the time here, and other test files share the processors.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const slow = { timeout: 30_000 }
const vcnAddress = '10.0.4.1'
let node: TestNode
let podman: PodmanInstance
let pristine: readonly string[]
let containers = 0

beforeAll(async () => {
  // As Oracle's controller attaches VNICs: plugins-chain.test.ts tells why.
  const options = { addresses: ['10.0.4.10', '10.0.4.11'], portmap: true, skipSourceDestCheck: true }
  node = await TestNode.start({ ...options, config: { cooldownSeconds: 0 } })
  podman = await PodmanInstance.start(node)
  pristine = kernelObjects(node.netnsPath)
})
afterAll(async () => {
  await podman[Symbol.asyncDispose]()
  await node[Symbol.asyncDispose]()
})
afterEach(async () => {
  await podman.removeAll()
  await expectNothingLeft()
})

const inspected = z
  .array(
    z.object({ NetworkSettings: z.object({ IPAddress: z.string(), Gateway: z.string(), MacAddress: z.string() }) }),
  )
  .length(1)

async function attachments(): Promise<readonly AttachmentStatus[]> {
  return (await node.status()).attachments
}

async function expectNothingLeft(): Promise<void> {
  expect(await attachments()).toEqual([])
  expect(kernelObjects(node.netnsPath)).toEqual(pristine)
}

/** A container that answers HTTP, and what the agent knows of it. */
async function runServer(...flags: readonly string[]): Promise<AttachmentStatus & { readonly name: string }> {
  const name = `${node.name}-${++containers}`
  const id = await podman.run('--detach', '--name', name, ...flags, testImage, ...httpCommand)
  const attachment = (await attachments()).find(({ containerId }) => containerId === id)
  if (attachment === undefined) throw new Error(`${name} is not attached`)
  return { ...attachment, name }
}

describe('podman run', () => {
  it('gives a container the address that podman shows, and node, VCN and containers reach', async () => {
    const [first, second] = [await runServer(), await runServer()]
    const shown = inspected.parse(JSON.parse(await podman.command('inspect', first.name)))
    expect(shown[0]?.NetworkSettings).toEqual({
      IPAddress: first.address,
      Gateway: '169.254.1.1',
      MacAddress: observeNetns(first.netns).links.find(({ name }) => name === 'eth0')?.mac,
    })
    await expect.poll(() => ask(node.vcnNetnsPath, 'http', first.address, httpPort), slow).toBe(vcnAddress)
    expect(await ask(node.netnsPath, 'http', first.address, httpPort)).toBe(node.nodeAddress)
    await expect.poll(() => ask(first.netns, 'http', second.address, httpPort), slow).toBe(first.address)
    expect(await ask(second.netns, 'http', first.address, httpPort)).toBe(second.address)
    const routes = await podman.command('exec', first.name, '/bin/busybox', 'ip', 'route')
    expect(routes.split('\n').map((line) => line.trim())).toContain('default via 169.254.1.1 dev eth0')
  })

  it('--rm takes the network away with the container', async () => {
    const printed = await podman.run('--rm', testImage, '/bin/busybox', 'ip', 'address', 'show', 'eth0')
    expect(printed).toMatch(/inet 10\.0\.4\.1[01]\/32 scope global eth0/)
    await expectNothingLeft()
  })

  it('--ip asks for an address: a free one is given, one in use is refused', async () => {
    const server = await runServer('--ip', '10.0.4.11')
    expect(server.address).toBe('10.0.4.11')
    const second = podman.run('--rm', '--ip', '10.0.4.11', testImage, '/bin/busybox', 'true')
    await expect(second).rejects.toThrow(`10.0.4.11 is in use by vcn-cni/${server.containerId}/eth0`)
    expect(await attachments()).toMatchObject([{ containerId: server.containerId }])
  })

  it('publishes ports, TCP and UDP, through portmap', async () => {
    const server = await runServer('--publish', `30080:${httpPort}`, '--publish', '30053:5353/udp')
    await using _udp = await serveEcho(node.directory, server.netns, 5353)
    await expect.poll(() => ask(node.vcnNetnsPath, 'http', node.nodeAddress, 30_080), slow).toBe('10.0.0.1')
    expect(await ask(node.netnsPath, 'http', node.nodeAddress, 30_080)).toBe(node.nodeAddress)
    expect(await ask(node.vcnNetnsPath, 'udp', node.nodeAddress, 30_053)).toBe('10.0.0.1')
    await podman.command('stop', '--time', '0', server.name)
    expect(await ask(node.vcnNetnsPath, 'http', node.nodeAddress, 30_080)).toContain('ECONNREFUSED')
  })

  it('without a free address fails with our sentence and leaves nothing', async () => {
    await runServer()
    await runServer()
    const third = podman.run('--rm', testImage, '/bin/busybox', 'true')
    await expect(third).rejects.toThrow('VNIC pods has 2 addresses: 2 held')
    expect(await attachments()).toHaveLength(2)
  })
})

describe('a container’s end', () => {
  it('by podman stop frees the address; podman start gives it one again', async () => {
    const server = await runServer()
    await podman.command('stop', '--time', '0', server.name)
    await expectNothingLeft()
    expect(await ping(node.vcnNetnsPath, server.address, { waitS: 1 })).toContain('Destination Host Unreachable')
    await podman.command('start', server.name)
    const [attachment] = await attachments()
    expect(attachment?.containerId).toBe(server.containerId)
    expect(await ping(node.vcnNetnsPath, attachment?.address ?? '')).toBe('answered')
  })

  it('by podman rm --force frees the address', async () => {
    const server = await runServer()
    await podman.command('rm', '--force', '--time', '0', server.name)
    await expectNothingLeft()
  })

  it('by its own process’s death frees the address', async () => {
    const server = await runServer()
    await podman.command('kill', server.name)
    await expect.poll(attachments, slow).toEqual([])
  })

  it('while the agent is away is made up for when it is back', async () => {
    const server = await runServer()
    await node.killAgent()
    await podman.command('rm', '--force', '--time', '0', server.name)
    await node.startAgent()
    await expectNothingLeft()
  })
})
