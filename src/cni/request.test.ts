import { describe, expect, it, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { answerVersion, parseRequest } from './request.ts'
import { attachmentEnv, attachmentKey, configText, invocationOf } from './request.fixture.ts'
import { supportedVersions } from './versions.ts'

const { CNI_CONTAINERID, CNI_IFNAME } = attachmentEnv
const netns = attachmentEnv.CNI_NETNS
const prevResult = { interfaces: [], ips: [{ address: '10.0.4.7/32' }], routes: [], dns: {} }

function parse(command: string, fields: Readonly<Record<string, unknown>> = {}, env: Record<string, string> = {}) {
  return unwrap(parseRequest(invocationOf({ CNI_COMMAND: command, ...attachmentEnv, ...env }, configText(fields))))
}

describe.each(supportedVersions)('in version %s', (version) => {
  const cniVersion = version

  test('ADD has the attachment, the namespace and the configuration', () => {
    expect(parse('ADD', { cniVersion })).toEqual({ command: 'ADD', version, key: attachmentKey, netns, config: {} })
  })

  test('ADD in a chain has what the plugins before made', () => {
    expect(parse('ADD', { cniVersion, prevResult: { cniVersion, ips: prevResult.ips } })).toMatchObject({ prevResult })
  })

  test('DEL has the attachment and the namespace, and no result', () => {
    expect(parse('DEL', { cniVersion, prevResult })).toEqual({ command: 'DEL', version, key: attachmentKey, netns })
  })

  test('VERSION has the version and nothing else', () => {
    expect(parse('VERSION', { cniVersion })).toEqual({ command: 'VERSION', version })
  })
})

test.each(['0.4.0', '1.0.0', '1.1.0'])('CHECK in version %s has the result of the chain', (version) => {
  const expected = { command: 'CHECK', version, key: attachmentKey, netns, config: {}, prevResult }
  expect(parse('CHECK', { cniVersion: version, prevResult })).toEqual(expected)
})

test('GC has the network and the attachments that stay', () => {
  const listed = [{ containerID: 'a', ifname: 'eth0' }]
  expect(parse('GC', { 'cni.dev/valid-attachments': listed })).toEqual({
    command: 'GC',
    version: '1.1.0',
    network: 'vcn-cni',
    disableGC: false,
    validAttachments: [{ containerId: 'a', ifname: 'eth0' }],
  })
})

test('STATUS has the network', () => {
  expect(parse('STATUS')).toEqual({ command: 'STATUS', version: '1.1.0', network: 'vcn-cni' })
})

describe('what a command does not need is not asked for', () => {
  it.each([
    ['GC', configText()],
    ['STATUS', configText()],
    ['VERSION', ''],
    ['VERSION', '{'],
    ['VERSION', '[]'],
  ])('%s without any variable, configuration %j', (command, stdin) => {
    expect(parseRequest(invocationOf({ CNI_COMMAND: command }, stdin))).toMatchObject({ ok: true, value: { command } })
  })

  it('takes a VERSION of an unknown version for what it is: the way to find out', () => {
    expect(parse('VERSION', { cniVersion: '9.9.9' })).toEqual({ command: 'VERSION', version: '9.9.9' })
  })

  it.each(['', '{', configText({ cniVersion: undefined })])(
    'answers VERSION with configuration %j in the newest',
    (stdin) => {
      const request = unwrap(parseRequest(invocationOf({ CNI_COMMAND: 'VERSION' }, stdin)))
      expect(request).toEqual({ command: 'VERSION', version: '1.1.0' })
    },
  )
})

describe('DEL has to work when nothing but the attachment is known', () => {
  const deleted = { command: 'DEL', version: '1.1.0', key: attachmentKey }

  it.each([undefined, '', 'cni-1'])('namespace %j', (path) => {
    const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS: path }
    expect(unwrap(parseRequest(invocationOf(env)))).toEqual(deleted)
  })

  it.each([
    ['a prevResult that cannot be read', { prevResult: { ips: 'none' } }],
    ['a prevResult that is no object', { prevResult: 7 }],
    ['an MTU that no ADD would accept', { mtu: -1 }],
    ['DNS settings that no ADD would accept', { dns: 'none' }],
    ['a requested address that no ADD would accept', { runtimeConfig: { ips: ['everywhere'] } }],
  ])('%s', (_name, fields) => {
    expect(parse('DEL', fields)).toEqual({ ...deleted, netns })
  })

  it.each(['K8S_POD_NAME', 'IP=everywhere', 'K8S_POD_NAMESPACE=a/b;K8S_POD_NAME=c'])('CNI_ARGS %j', (CNI_ARGS) => {
    expect(parse('DEL', {}, { CNI_ARGS })).toEqual({ ...deleted, netns })
  })

  it('still learns the pod from CNI_ARGS of which a part is malformed', () => {
    const CNI_ARGS = 'oops;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0'
    expect(parse('DEL', {}, { CNI_ARGS })).toEqual({ ...deleted, netns, pod: { namespace: 'shop', name: 'web-0' } })
  })
})

describe('CNI_ARGS', () => {
  it.each([
    [
      'as containerd writes them',
      'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=3f69;K8S_POD_UID=1b2c',
      { namespace: 'shop', name: 'web-0', uid: '1b2c' },
    ],
    ['without a UID', 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=', { namespace: 'shop', name: 'web-0' }],
    ['with a separator too many', ';K8S_POD_NAMESPACE=shop;;K8S_POD_NAME=web-0;', { namespace: 'shop', name: 'web-0' }],
    [
      'of podman, with capitals',
      'K8S_POD_NAMESPACE=My_Pod;K8S_POD_NAME=My_Pod',
      { namespace: 'My_Pod', name: 'My_Pod' },
    ],
    ['with half an identity', 'K8S_POD_NAME=web-0', undefined],
    ['with keys nobody knows and no IgnoreUnknown', 'COLOUR=blue;EQUATION=a=b', undefined],
    ['empty', '', undefined],
  ])('%s', (_name, CNI_ARGS, pod) => {
    for (const command of ['ADD', 'CHECK', 'DEL']) {
      const request = parse(command, { prevResult }, { CNI_ARGS })
      expect('pod' in request ? request.pod : undefined).toEqual(pod)
    }
  })
})

describe('a requested address', () => {
  it.each([
    ['in CNI_ARGS', 'IP=10.0.4.7', {}],
    ['in CNI_ARGS with a prefix length', 'IP=10.0.4.7/24', {}],
    ['as a capability', '', { capabilities: { ips: true }, runtimeConfig: { ips: ['10.0.4.7/24'] } }],
    ['in args.cni', '', { args: { cni: { ips: ['10.0.4.7'] } } }],
    ['everywhere, but the same', 'IP=10.0.4.7', { runtimeConfig: { ips: ['10.0.4.7/24', '10.0.4.7'] } }],
  ])('%s', (_name, CNI_ARGS, fields) => {
    expect(parse('ADD', fields, { CNI_ARGS })).toMatchObject({ requestedIp: '10.0.4.7' })
  })

  it.each([{}, { ips: [] }, { ips: null }, { portMappings: [] }])(
    'is not seen in runtimeConfig %j',
    (runtimeConfig) => {
      expect(parse('ADD', { runtimeConfig, args: { labels: [] } })).not.toHaveProperty('requestedIp')
    },
  )
})

describe('the configuration', () => {
  const text = (mtu: string) => `{"cniVersion":"1.0.0","name":"vcn-cni","type":"vcn-cni","mtu":${mtu}}`

  it.each([
    ['1280', 1280],
    ['9216', 9216],
    ['1500.0', 1500],
    ['1.5e3', 1500],
  ])('with an mtu written as %s', (mtu, mtuBytes) => {
    const request = unwrap(parseRequest(invocationOf({ CNI_COMMAND: 'ADD', ...attachmentEnv }, text(mtu))))
    expect(request).toMatchObject({ config: { mtuBytes } })
  })

  it('hands on DNS settings', () => {
    const dns = { nameservers: ['10.96.0.10'], domain: 'shop.local', search: ['local', ''], options: ['ndots:5'] }
    expect(parse('ADD', { dns })).toMatchObject({ config: { dns } })
  })

  it('may carry fields of others, and null or "" where nothing is meant', () => {
    const fields = {
      prevResult: null,
      mtu: null,
      dns: { domain: '', search: null },
      cniVersions: ['1.0.0'],
      log: { level: 1 },
    }
    expect(parse('ADD', fields)).toEqual({
      command: 'ADD',
      version: '1.1.0',
      key: attachmentKey,
      netns,
      config: { dns: {} },
    })
  })
})

describe('the attachments that GC has to leave alone', () => {
  const one = [{ containerID: 'a', ifname: 'eth0' }]
  const other = [{ containerID: 'b', ifname: 'eth0' }]

  it.each([
    ['absent: not told', {}, undefined],
    ['null: not told', { 'cni.dev/valid-attachments': null, 'cni.dev/attachments': null }, undefined],
    ['an empty list: none is valid', { 'cni.dev/valid-attachments': [] }, []],
    ['under the older name', { 'cni.dev/attachments': one }, ['a']],
    [
      'under both names: the present one counts',
      { 'cni.dev/valid-attachments': one, 'cni.dev/attachments': other },
      ['a'],
    ],
    [
      'null under the present name: the older one counts',
      { 'cni.dev/valid-attachments': null, 'cni.dev/attachments': one },
      ['a'],
    ],
  ])('%s', (_name, fields, containers) => {
    const request = parse('GC', fields)
    if (request.command !== 'GC') throw new Error(`parsed as ${request.command}`)
    expect(request.validAttachments?.map(({ containerId }) => containerId)).toEqual(containers)
  })

  it('are of no interest when the operator disabled GC', () => {
    expect(parse('GC', { disableGC: true })).toMatchObject({ disableGC: true })
  })
})

describe('the version to answer in', () => {
  it.each([
    ['the one asked for', configText({ cniVersion: '0.4.0', name: '///' }), '0.4.0'],
    ['the newest for an unknown one', configText({ cniVersion: '7.0.0' }), '1.1.0'],
    ['the newest without one', configText({ cniVersion: undefined }), '1.1.0'],
    ['the newest for no configuration', '', '1.1.0'],
  ])('is %s', (_name, stdin, version) => {
    expect(answerVersion(invocationOf({}, stdin))).toBe(version)
  })
})
