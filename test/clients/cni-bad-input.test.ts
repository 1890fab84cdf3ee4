// Every request that cannot be served: an error with code and message, exit code 1, nothing allocated, and no kernel
// object made or taken away at either end.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { unwrap } from '../../src/base/result.ts'
import { parseMac } from '../../src/base/mac.ts'
import { hostIfname } from '../../src/datapath/host-ifname.ts'
import { createVeth } from '../../src/linux/netlink/link.ts'
import { addressOf, errorOf, expectRefused, gatherEvidence } from './cni-answers.ts'
import { observeNetns, requestIn } from './node-links.ts'
import { type CniCall, TestNode } from './test-node.ts'

let node: TestNode
let netnsPath: string

beforeAll(async () => {
  node = await TestNode.start()
  netnsPath = node.addPodNetns()
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
})

const environment = { code: 4 }
const decoding = { code: 6 }
const config = { code: 7 }

describe('an environment', () => {
  const complete = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin' }

  it.each([
    [
      'without CNI_COMMAND',
      { CNI_COMMAND: '' },
      /^CNI_COMMAND is missing; valid are ADD, DEL, CHECK, GC, STATUS, VERSION$/,
    ],
    ['with an unknown command', { CNI_COMMAND: 'UPDATE' }, /^CNI_COMMAND "UPDATE" is unknown; valid are/],
    ['without CNI_CONTAINERID', { CNI_CONTAINERID: '' }, /^ADD: CNI_CONTAINERID is missing$/],
    ['without CNI_NETNS', { CNI_NETNS: '' }, /^ADD: CNI_NETNS is missing$/],
    ['without CNI_IFNAME', { CNI_IFNAME: '' }, /^ADD: CNI_IFNAME is missing$/],
    [
      'with a container id with a slash',
      { CNI_CONTAINERID: '../c1' },
      /^ADD: CNI_CONTAINERID "..\/c1" must start with/,
    ],
    [
      'with an interface name of 16 letters',
      { CNI_IFNAME: 'sixteen-letters-' },
      /CNI_IFNAME .* is longer than 15 bytes$/,
    ],
    ['with a relative namespace', { CNI_NETNS: 'run/netns/p1' }, /CNI_NETNS "run\/netns\/p1" is not an absolute path/],
    ['with arguments that are no pairs', { CNI_ARGS: 'IP=10.0.4.10;rubbish' }, /^CNI_ARGS: "rubbish" is not KEY=VALUE/],
  ])('%s is refused', async (_name, changed: Readonly<Record<string, string>>, msg) => {
    const before = await gatherEvidence(node, netnsPath)
    const given = Object.entries({ ...complete, CNI_NETNS: netnsPath, ...changed }).filter(([, value]) => value !== '')
    const stdin = '{"cniVersion":"1.0.0","name":"vcn-cni","type":"vcn-cni"}'
    const answer = await node.execute('vcn-cni', Object.fromEntries(given), stdin)
    expect(errorOf(answer)).toMatchObject({
      cniVersion: '1.0.0',
      ...environment,
      msg: expect.stringMatching(msg) as string,
    })
    expect(await gatherEvidence(node, netnsPath)).toEqual(before)
  })
})

describe('a configuration', () => {
  it.each([
    ['cut off', '{"cniVersion":"1.0.0",', decoding, /^the configuration is not valid JSON: /],
    ['empty', '', decoding, /^the configuration is not valid JSON: /],
    ['a list', '[]', decoding, /^the configuration is not a JSON object$/],
    [
      'without cniVersion',
      '{"name":"vcn-cni"}',
      { code: 1 },
      /^cniVersion is missing; supported are 0\.3\.0, .*1\.1\.0$/,
    ],
    [
      'of version 0.2.0',
      '{"cniVersion":"0.2.0"}',
      { code: 1 },
      /^cniVersion "0.2.0" is not supported; supported are 0\.3\.0/,
    ],
    ['of version 2.0.0', '{"cniVersion":"2.0.0"}', { code: 1 }, /^cniVersion "2.0.0" is not supported/],
    ['without a name', '{"cniVersion":"1.0.0"}', config, /^name: is required$/],
    ['with a name with a slash', '{"cniVersion":"1.0.0","name":"a/b"}', config, /^name: "a\/b" must start with/],
    [
      'with an MTU of 99',
      '{"cniVersion":"1.0.0","name":"n","mtu":99}',
      config,
      /^mtu: must be a whole number.*\(got 99\)$/,
    ],
    ['with DNS that is none', '{"cniVersion":"1.0.0","name":"n","dns":{"search":"x"}}', config, /^dns\.search: /],
    [
      'with a prevResult that is none',
      '{"cniVersion":"1.0.0","name":"n","prevResult":{"ips":[{"address":"10.0.0.1"}]}}',
      config,
      /^prevResult\.ips\[0\]\.address: .*prefix length/,
    ],
  ])('%s is refused', async (_name, stdin, { code }, msg) => {
    const before = await gatherEvidence(node, netnsPath)
    const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0', CNI_NETNS: netnsPath }
    const answer = await node.execute('vcn-cni', env, stdin)
    expect(errorOf(answer)).toMatchObject({ code, msg: expect.stringMatching(msg) as string })
    expect(await gatherEvidence(node, netnsPath)).toEqual(before)
  })
})

describe('a namespace', () => {
  it.each([
    ['that does not exist', () => '/run/netns/nobody', 'does not exist'],
    ['that is a file', () => node.configPath, 'is not a network namespace'],
    ['that is a directory', () => node.directory, 'is not a network namespace'],
    ['of another kind', () => '/proc/self/ns/mnt', 'is not a network namespace'],
    ['that is the node’s own', () => node.netnsPath, 'is the node’s own network namespace; a pod needs one of its own'],
  ])('%s is refused', async (_name, path, problem) => {
    const call = { containerId: 'c1', netnsPath: path() }
    await expectRefused(node, call, { ...environment, msg: `CNI_NETNS: ${JSON.stringify(path())} ${problem}` })
  })
})

describe('an interface name', () => {
  it.each(['eth0', 'lo'])('that the pod has already, %s, is refused', async (ifname) => {
    const pod = node.addPodNetns()
    if (ifname !== 'lo')
      requestIn(pod, [createVeth(vethEnd(ifname, '02:00:00:00:00:11'), vethEnd('peer', '02:00:00:00:00:12'))])
    const msg = `CNI_IFNAME: ${ifname} exists in ${pod} already`
    await expectRefused(node, { containerId: 'c1', netnsPath: pod, ifname }, { code: 100, msg })
  })

  it('on the node that somebody else has is refused, and theirs stays', async () => {
    const name = hostIfname(
      { network: 'vcn-cni', containerId: 'c1', ifname: 'eth0' },
      { namespace: 'default', name: 'c1' },
    )
    requestIn(node.netnsPath, [createVeth(vethEnd(name, '02:00:00:00:00:11'), vethEnd('peer', '02:00:00:00:00:12'))])
    const msg = new RegExp(`^the node has an interface ${name} \\(index \\d+\\) already, not made by vcn-cni$`)
    await expectRefused(node, { containerId: 'c1', netnsPath: node.addPodNetns() }, { code: 100, msg })
    expect(observeNetns(node.netnsPath).links.map((link) => link.name)).toContain(name)
  })
})

describe('a requested address', () => {
  const request = (IP: string): CniCall => ({ containerId: 'c2', netnsPath, args: `IP=${IP}` })

  it.each([
    ['of no VNIC here', '10.0.4.99', 101, /^requested address 10\.0\.4\.99 is on no VNIC of this node$/],
    ['of a VNIC itself', '10.0.4.2', 101, /^requested address 10\.0\.4\.2 is reserved: it is the VNIC's own address/],
    ['of the router', '10.0.4.1', 101, /^requested address 10\.0\.4\.1 is reserved: it is the subnet's router/],
    ['that is no address', '10.0.4', 7, /^CNI_ARGS IP: "10\.0\.4" is not an IPv4 address/],
    ['that is of IPv6', 'fd00::7', 7, /^CNI_ARGS IP: "fd00::7" is not an IPv4 address/],
  ])('%s is refused', async (_name, address, code, msg) => {
    await expectRefused(node, request(address), { code, msg })
  })

  it('that differs from another one in the same request is refused', async () => {
    const call = { ...request('10.0.4.10'), config: { runtimeConfig: { ips: ['10.0.4.11/32'] } } }
    await expectRefused(node, call, { code: 7, msg: /one address at most, not 10\.0\.4\.11, 10\.0\.4\.10$/ })
  })

  it('that a pod has is refused, and so it is while it cools down after that', async () => {
    const holder = { containerId: 'c3', netnsPath: node.addPodNetns(), args: 'IP=10.0.4.20/24' }
    expect(addressOf(await node.cni('ADD', holder))).toBe('10.0.4.20')
    const inUse = 'requested address 10.0.4.20 is in use by vcn-cni/c3/eth0'
    await expectRefused(node, request('10.0.4.20'), { code: 101, msg: inUse })
    await node.cni('DEL', holder)
    const cooling = /^requested address 10\.0\.4\.20 was released a moment ago and cools down until \d{4}-/
    await expectRefused(node, request('10.0.4.20'), { code: 11, msg: cooling })
  })
})

function vethEnd(name: string, mac: string): Parameters<typeof createVeth>[0] {
  return { name, mac: unwrap(parseMac(mac)), mtuBytes: 1500 }
}
