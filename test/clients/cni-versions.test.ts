// Every version of the specification, and what CHECK, STATUS and GC say of a real node.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAtLeast, type SpecVersion, supportedVersions } from '../../src/cni/versions.ts'
import { addressOf, errorOf, gatherEvidence, resultOf } from './cni-answers.ts'
import { observeNetns } from './node-links.ts'
import { type CniAnswer, TestNode } from './test-node.ts'
import { ping } from './traffic.ts'

let node: TestNode
let containers = 0

beforeAll(async () => {
  node = await TestNode.start({ config: { cooldownSeconds: 0 } })
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

const done = { exitCode: 0, stdout: '', json: undefined }

function newPod(): { readonly containerId: string; readonly netnsPath: string } {
  return { containerId: `c${++containers}`, netnsPath: node.addPodNetns() }
}

/** What ADD prints, by version: only the fields that version knows. */
function expectedResult(cniVersion: SpecVersion, address: string, netnsPath: string, macs: readonly string[]): object {
  const mtu = cniVersion === '1.1.0' ? { mtu: 9000 } : {}
  const version = isAtLeast(cniVersion, '1.0.0') ? {} : { version: '4' }
  return {
    cniVersion,
    interfaces: [
      { name: expect.stringMatching(/^oci[0-9a-f]{11}$/) as string, mac: macs[0], ...mtu },
      { name: 'eth0', mac: macs[1], sandbox: netnsPath, ...mtu },
    ],
    ips: [{ ...version, address: `${address}/32`, gateway: '169.254.1.1', interface: 1 }],
    routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }],
    dns: {},
  }
}

describe.each(supportedVersions)('version %s', (cniVersion) => {
  const config = { cniVersion }

  it('ADD answers in it and attaches, DEL takes all away', async () => {
    const pod = newPod()
    const added = await node.cni('ADD', { ...pod, config })
    const address = addressOf(added)
    const macOf = (path: string, name: string): string =>
      observeNetns(path).links.find((link) => link.name === name)?.mac ?? ''
    const { hostIfname = '' } = (await node.status()).attachments[0] ?? {}
    const macs = [macOf(node.netnsPath, hostIfname), macOf(pod.netnsPath, 'eth0')]
    expect(added.json).toStrictEqual(expectedResult(cniVersion, address, pod.netnsPath, macs))
    expect(await ping(node.vcnNetnsPath, address)).toBe('answered')
    expect(await node.cni('DEL', { ...pod, config: { ...config, prevResult: added.json } })).toEqual(done)
    expect((await node.status()).attachments).toEqual([])
  })

  it('CHECK answers by it', async () => {
    const pod = newPod()
    const added = await node.cni('ADD', { ...pod, config })
    const checked = await node.cni('CHECK', { ...pod, config: { ...config, prevResult: added.json } })
    if (isAtLeast(cniVersion, '0.4.0')) expect(checked).toEqual(done)
    else
      expect(errorOf(checked)).toMatchObject({
        cniVersion,
        code: 1,
        msg: expect.stringContaining('has no CHECK') as string,
      })
    await node.cni('DEL', { ...pod, config })
  })

  it.each(['STATUS', 'GC'])('%s answers by it', async (command) => {
    const answer = await node.execute(
      'vcn-cni',
      { CNI_COMMAND: command },
      JSON.stringify({ ...config, name: 'vcn-cni' }),
    )
    if (cniVersion === '1.1.0') expect(answer).toEqual(done)
    else
      expect(errorOf(answer)).toMatchObject({
        cniVersion,
        code: 1,
        msg: `cniVersion "${cniVersion}" has no ${command}; valid are 1.1.0 and later`,
      })
  })

  it('VERSION answers in it', async () => {
    const answer = await node.execute('vcn-cni', { CNI_COMMAND: 'VERSION' }, JSON.stringify(config))
    expect(answer.json).toEqual({ cniVersion, supportedVersions })
  })
})

describe('CHECK', () => {
  async function checkAfter(...commands: readonly (readonly string[])[]): Promise<CniAnswer> {
    const pod = newPod()
    const added = await node.cni('ADD', pod)
    for (const argv of commands) {
      const { code, stderr } = await node.exec(pod.netnsPath, ['ip', ...argv])
      expect(code, stderr).toBe(0)
    }
    const checked = await node.cni('CHECK', { ...pod, config: { prevResult: added.json } })
    await node.cni('DEL', pod)
    return checked
  }

  it.each([
    ['another MTU', [['link', 'set', 'eth0', 'mtu', '1500']]],
    ['another MAC', [['link', 'set', 'eth0', 'address', '02:00:00:00:00:77']]],
    ['a queueing discipline', [['link', 'set', 'eth0', 'txqueuelen', '77']]],
    ['another address', [['address', 'add', '192.0.2.7/32', 'dev', 'eth0']]],
    ['another route', [['route', 'add', '192.0.2.0/24', 'via', '169.254.1.1', 'dev', 'eth0', 'onlink']]],
    ['another interface', [['link', 'add', 'extra0', 'type', 'veth', 'peer', 'name', 'extra1']]],
    ['another rule', [['rule', 'add', 'from', '192.0.2.7', 'lookup', '100']]],
  ])('tolerates what a later plugin of the chain may do: %s', async (_name, commands) => {
    expect(await checkAfter(...commands)).toEqual(done)
  })

  it.each([
    ['the interface', [['link', 'delete', 'eth0']], /^the node has no interface oci[0-9a-f]{11}$/],
    [
      'the interface’s name',
      [
        ['link', 'set', 'eth0', 'down'],
        ['link', 'set', 'eth0', 'name', 'eth1'],
      ],
      /^the pod has no interface eth0$/,
    ],
    ['the interface being up', [['link', 'set', 'eth0', 'down']], /missing in the pod: configuring interface/],
    ['the address', [['address', 'flush', 'dev', 'eth0']], /missing in the pod: adding address 10\.0\.4\.\d+\/32/],
    [
      'the default route',
      [['route', 'delete', 'default']],
      /^missing in the pod: setting route 0\.0\.0\.0\/0 via 169\.254\.1\.1/,
    ],
    [
      'the neighbour',
      [['neigh', 'flush', 'all', 'nud', 'permanent']],
      /^missing in the pod: setting neighbour 169\.254\.1\.1/,
    ],
  ])('notices the loss of %s', async (_name, commands, msg) => {
    expect(errorOf(await checkAfter(...commands))).toMatchObject({
      code: 103,
      msg: expect.stringMatching(msg) as string,
    })
  })

  it('notices that nothing is reserved, also when the interface is there', async () => {
    const pod = newPod()
    const added = await node.cni('ADD', pod)
    const other = { ...pod, containerId: 'somebody-else', config: { prevResult: added.json } }
    const msg = 'no address is reserved for vcn-cni/somebody-else/eth0'
    expect(errorOf(await node.cni('CHECK', other))).toMatchObject({ code: 103, msg })
    await node.cni('DEL', pod)
  })

  it('notices a result that is not this attachment’s', async () => {
    const pod = newPod()
    const result = resultOf(await node.cni('ADD', pod))
    const prevResult = { cniVersion: '1.0.0', interfaces: [result.interfaces[0]], ips: [{ address: '10.0.4.99/32' }] }
    const checked = errorOf(await node.cni('CHECK', { ...pod, config: { prevResult } }))
    expect(checked).toMatchObject({
      code: 103,
      msg: expect.stringContaining('no interface eth0 in a sandbox') as string,
    })
    expect(checked.msg).toContain('lacks the reserved address')
    expect(errorOf(await node.cni('CHECK', pod))).toMatchObject({
      code: 7,
      msg: expect.stringMatching(/^prevResult: is required/) as string,
    })
    await node.cni('DEL', pod)
  })
})

describe('GC', () => {
  const collect = (fields: object): Promise<CniAnswer> =>
    node.execute('vcn-cni', { CNI_COMMAND: 'GC' }, JSON.stringify({ cniVersion: '1.1.0', name: 'vcn-cni', ...fields }))
  const attached = async (): Promise<readonly string[]> =>
    (await node.status()).attachments.map(({ network, containerId }) => `${network}/${containerId}`).sort()

  it.each(['cni.dev/valid-attachments', 'cni.dev/attachments'])(
    'keeps what %s lists and deletes the rest',
    async (field) => {
      const [kept, stale, foreign] = [newPod(), newPod(), newPod()]
      const keptAddress = addressOf(await node.cni('ADD', kept))
      await node.cni('ADD', stale)
      await node.cni('ADD', { ...kept, ifname: 'net1' })
      await node.cni('ADD', { ...foreign, config: { name: 'other' } })
      const valid = [
        { containerID: kept.containerId, ifname: 'eth0' },
        { containerID: 'unknown', ifname: 'eth0' },
      ]
      expect(await collect({ [field]: valid })).toEqual(done)
      expect(await attached()).toEqual([`other/${foreign.containerId}`, `vcn-cni/${kept.containerId}`].sort())
      expect(observeNetns(stale.netnsPath).links.map(({ name }) => name)).toEqual(['lo'])
      expect(observeNetns(kept.netnsPath).links.map(({ name }) => name)).toEqual(['lo', 'eth0'])
      expect(addressOf(await node.cni('ADD', stale))).not.toBe(keptAddress)
      expect(await collect({ [field]: [] })).toEqual(done)
      expect(await attached()).toEqual([`other/${foreign.containerId}`])
      await node.cni('DEL', { ...foreign, config: { name: 'other' } })
    },
  )

  it.each([
    ['without a list', {}],
    ['with null for a list', { 'cni.dev/valid-attachments': null, 'cni.dev/attachments': null }],
    ['where it is switched off', { 'cni.dev/valid-attachments': [], disableGC: true }],
  ])('%s deletes nothing', async (_name, fields) => {
    const pod = newPod()
    await node.cni('ADD', pod)
    const before = await gatherEvidence(node, pod.netnsPath)
    expect(await collect(fields)).toEqual(done)
    expect(await gatherEvidence(node, pod.netnsPath)).toEqual(before)
    await node.cni('DEL', pod)
  })

  it('with a list that is none is refused and deletes nothing', async () => {
    const pod = newPod()
    await node.cni('ADD', pod)
    expect(errorOf(await collect({ 'cni.dev/valid-attachments': 'none' }))).toMatchObject({ code: 7 })
    expect(await attached()).toEqual([`vcn-cni/${pod.containerId}`])
    await node.cni('DEL', pod)
  })
})

describe('STATUS', () => {
  const status = (): Promise<CniAnswer> =>
    node.execute('vcn-cni', { CNI_COMMAND: 'STATUS' }, '{"cniVersion":"1.1.0","name":"vcn-cni"}')

  it('tells an agent that is down, and a VNIC that has gone', async () => {
    expect(await status()).toEqual(done)
    await node.stopAgent()
    expect(errorOf(await status())).toMatchObject({ code: 50, msg: "no answer from the node's agent" })
    await node.startAgent()
    expect(await status()).toEqual(done)
    await node.exec(node.netnsPath, ['ip', 'link', 'delete', 'ens5'])
    const gone = { code: 51, msg: 'VNIC pods: no interface has MAC 02:00:17:00:00:02' }
    await expect.poll(async () => errorOf(await status()), { timeout: 10_000 }).toMatchObject(gone)
  })
})
