// What an ADD waits for, and what it leaves when it has waited for nothing.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ping } from '../clients/traffic.ts'
import { allowFrom, denyIngress, failure, patience, PoliciedNode } from './policied-node.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

const [serverAddress, clientAddress] = ['10.0.4.10', '10.0.4.11']

let node: PoliciedNode
let client: string
const reaches = async (address: string): Promise<boolean> => (await ping(client, address, { waitS: 2 })) === 'answered'
const held = async (): Promise<readonly string[]> =>
  (await node.cluster.node.status()).attachments.map(({ pod, state }) => `${pod?.namespace}/${pod?.name} ${state}`)
const links = async (): Promise<readonly string[]> =>
  (await node.exec('ip', '-br', 'link')).stdout.split('\n').map((line) => line.split(/[ @]/)[0] ?? '')
const free = (): Promise<number> => node.cluster.free()
const subject = async (ifname: string): Promise<string> => {
  const listed = await node.nft('list', 'map', 'ip', 'vcn-policy', 'to-pod')
  return new RegExp(`"${ifname}" : (\\w+)`).exec(listed)?.[1] ?? 'unknown'
}

beforeAll(async () => {
  node = await PoliciedNode.start({ policy: { engine: 'vcn', addTimeoutSeconds: 2 }, config: { cooldownSeconds: 0 } })
  await node.ready()
  client = await node.run('client', { address: clientAddress })
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

/** Takes the container off and its pod away. */
async function end(name: string, namespace = 'default'): Promise<void> {
  expect(await node.cluster.del(name)).toBe(0)
  node.deletePod(name, namespace)
  await expect.poll(free, patience).toBe(3)
}

describe('a pod that nobody knows', () => {
  it('gets error 11 that names it and the reason, and leaves nothing', async () => {
    const before = { held: await held(), free: await free(), links: await links() }
    expect(failure(await node.add('ghost'))).toEqual({
      code: 11,
      text: expect.stringMatching(
        /pod default\/ghost .*API server has told of no pod default\/ghost on node/,
      ) as unknown,
    })
    expect({ held: await held(), free: await free(), links: await links() }).toEqual(before)
    expect(await node.table()).not.toContain(node.ifnameOf('ghost'))
  })

  it('gets its network when its object comes within the time', async () => {
    const adding = node.add('late', { address: serverAddress })
    await delay(500)
    node.putPod('late', { address: serverAddress })
    expect(failure(await adding)).toBe('succeeded')
    expect(await reaches(serverAddress)).toBe(true)
    await end('late')
  })

  it('gets it when its namespace comes within the time, and the labels of both count', async () => {
    node.putPod('late', { namespace: 'young', address: serverAddress })
    node.putPolicy('deny', { namespace: 'young', spec: denyIngress })
    const adding = node.add('late', { namespace: 'young', address: serverAddress })
    await delay(500)
    expect(await held()).toEqual(['default/client attached'])
    node.putNamespace('young')
    expect(failure(await adding)).toBe('succeeded')
    expect(await reaches(serverAddress)).toBe(false)
    await end('late', 'young')
    node.remove('namespaces', '', 'young')
    node.deletePolicy('deny', 'young')
  })

  it('of a namespace that never comes gets error 11 that names the namespace', async () => {
    node.putPod('lost', { namespace: 'nowhere', address: serverAddress })
    const answer = failure(await node.add('lost', { namespace: 'nowhere', address: serverAddress }))
    expect(answer).toEqual({ code: 11, text: expect.stringContaining('namespace nowhere') as unknown })
    node.deletePod('lost', 'nowhere')
  })
})

describe('the same name under a new uid', () => {
  it('is not judged by the old pod’s labels', async () => {
    node.putPolicy('closed', { spec: { ...denyIngress, podSelector: { matchLabels: { role: 'closed' } } } })
    const netnsPath = await node.run('web-0', { address: serverAddress, labels: { role: 'open' } })
    expect(await reaches(serverAddress)).toBe(true)
    expect(await node.cluster.del('web-0')).toBe(0)
    node.cluster.node.removePodNetns(netnsPath)
    const adding = node.add('web-0', { uid: 'second', address: serverAddress, container: 'again' })
    await delay(300)
    node.putPod('web-0', { uid: 'second', address: serverAddress, labels: { role: 'closed' } })
    expect(failure(await adding)).toBe('succeeded')
    expect(await reaches(serverAddress)).toBe(false)
    expect(await node.cluster.del('again')).toBe(0)
    node.deletePolicy('closed')
    node.deletePod('web-0')
  })

  it('gets error 11 that tells both uids where the old object stays', async () => {
    node.putPod('web-0', { uid: 'first' })
    const answer = failure(await node.add('web-0', { uid: 'second', container: 'again' }))
    expect(answer).toEqual({ code: 11, text: expect.stringMatching(/with uid first, not second/) as unknown })
    node.deletePod('web-0')
  })

  it('closes the old pod’s interface when only the object is replaced', async () => {
    await node.run('web-0', { uid: uidOf('web-0'), address: serverAddress })
    expect(await reaches(serverAddress)).toBe(true)
    node.putPod('web-0', { uid: 'other', address: serverAddress })
    await expect.poll(() => reaches(serverAddress), patience).toBe(false)
    await end('web-0')
  })
})

const uidOf = (name: string): string => `uid-of-default-${name}`

describe('who needs no object of its own uid', () => {
  it('a static pod is known by its mirror’s annotation', async () => {
    const annotations = { 'kubernetes.io/config.mirror': 'hash-of-the-file' }
    node.putPod('static-web', { uid: 'of-the-mirror', annotations, address: serverAddress })
    const added = await node.add('static-web', { uid: 'hash-of-the-file', address: serverAddress })
    expect(failure(added)).toBe('succeeded')
    expect(await reaches(serverAddress)).toBe(true)
    await end('static-web')
  })

  it('a runtime that tells no uid gets the pod of that name', async () => {
    node.putPod('plain', { address: serverAddress })
    expect(failure(await node.add('plain', { uid: undefined, address: serverAddress }))).toBe('succeeded')
    expect(await reaches(serverAddress)).toBe(true)
    await end('plain')
  })

  it('a container of no pod is open, and nobody waits', async () => {
    expect(failure(await node.add('box', { args: 'IgnoreUnknown=1', address: serverAddress }))).toBe('succeeded')
    expect(await reaches(serverAddress)).toBe(true)
    expect(await node.cluster.del('box')).toBe(0)
  })
})

describe('peers', () => {
  const fromFriends = {
    podSelector: { matchLabels: { role: 'server' } },
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { role: 'friend' } } }] }],
  }

  it('are pods that run: a finished one’s address is nobody’s', async () => {
    node.putPolicy('friends', { spec: fromFriends })
    await node.run('server', { address: serverAddress, labels: { role: 'server' } })
    expect(await reaches(serverAddress)).toBe(false)
    node.putPod('client', { address: clientAddress, labels: { role: 'friend' } })
    await expect.poll(() => reaches(serverAddress), patience).toBe(true)
    node.putPod('client', { address: clientAddress, labels: { role: 'friend' }, phase: 'Succeeded' })
    await expect.poll(() => reaches(serverAddress), patience).toBe(false)
  })

  it('are no pods of the host’s network, and those are not isolated', async () => {
    node.putPod('client', { address: clientAddress })
    node.putPod('on-host', { address: clientAddress, labels: { role: 'friend' }, hostNetwork: true })
    node.putPolicy('all', { spec: denyIngress })
    await expect.poll(async () => (await node.policy())?.selected, patience).toBe(2)
    expect(await reaches(serverAddress)).toBe(false)
    expect(await ping(client, node.cluster.node.nodeAddress)).toBe('answered')
    for (const name of ['all', 'friends']) node.deletePolicy(name)
    node.deletePod('on-host')
    await expect.poll(() => reaches(serverAddress), patience).toBe(true)
    await end('server')
  })
})

it('an ADD returns only when its pod’s isolation is in the kernel', async () => {
  node.putPolicy('allow', { spec: allowFrom('192.0.2.1') })
  for (let round = 0; round < 5; round++) {
    const name = `quick-${round}`
    node.putPod(name, { address: serverAddress })
    expect(failure(await node.add(name, { address: serverAddress }))).toBe('succeeded')
    expect(await subject(node.ifnameOf(name))).toMatch(/^(jump|goto)$/)
    await end(name)
    await expect.poll(() => subject(node.ifnameOf(name)), patience).toBe('unknown')
  }
  node.deletePolicy('allow')
})
