import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { type CniErrorName, cniErrorKinds } from './errors.ts'
import { parseRequest } from './request.ts'
import { attachmentEnv, configText, invocationOf } from './request.fixture.ts'
import { supportedVersions } from './versions.ts'

type Fields = Readonly<Record<string, unknown>>
const prevResult = {}

function expectError(
  env: Readonly<Record<string, string | undefined>>,
  stdin: string | Buffer,
  name: CniErrorName,
  ...words: readonly string[]
): void {
  const parsed = parseRequest(invocationOf({ ...attachmentEnv, ...env }, stdin))
  expect(parsed).toMatchObject({ ok: false, error: { code: cniErrorKinds[name].code } })
  const { msg, details } = parsed.ok ? { msg: '', details: '' } : parsed.error
  for (const word of words) expect(msg).toContain(word)
  expect(details).not.toBe('')
}

test.each([
  ['missing', undefined, 'is missing'],
  ['empty', '', 'is missing'],
  ['unknown', 'UPDATE', '"UPDATE" is unknown'],
  ['in small letters', 'add', '"add" is unknown'],
  ['a word of the language', 'constructor', '"constructor" is unknown'],
])('a command that is %s is refused with a list of the valid ones', (_name, CNI_COMMAND, problem) => {
  const valid = 'ADD, DEL, CHECK, GC, STATUS, VERSION'
  expectError({ CNI_COMMAND }, configText(), 'INVALID_ENVIRONMENT', 'CNI_COMMAND', problem, valid)
})

describe('a command that came with a later version is refused', () => {
  it.each([
    ['CHECK', '0.3.0', '0.4.0'],
    ['CHECK', '0.3.1', '0.4.0'],
    ...['GC', 'STATUS'].flatMap((command) =>
      supportedVersions.slice(0, -1).map((version) => [command, version, '1.1.0']),
    ),
  ])('%s in %s', (CNI_COMMAND = '', cniVersion = '', since = '') => {
    const stdin = configText({ cniVersion, prevResult })
    expectError({ CNI_COMMAND }, stdin, 'INCOMPATIBLE_VERSION', `"${cniVersion}" has no ${CNI_COMMAND}`, since)
  })
})

describe.each([
  ['ADD', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']],
  ['DEL', ['CNI_CONTAINERID', 'CNI_IFNAME']],
  ['CHECK', ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME']],
])('%s', (CNI_COMMAND, required) => {
  const stdin = configText({ prevResult })

  it.each(required)('without %s is refused', (name) => {
    expectError({ CNI_COMMAND, [name]: undefined }, stdin, 'INVALID_ENVIRONMENT', `${name} is missing`)
    expectError({ CNI_COMMAND, [name]: '' }, stdin, 'INVALID_ENVIRONMENT', `${name} is missing`)
  })

  it('names all that is missing at once', () => {
    const nothing = Object.fromEntries(required.map((name) => [name, undefined]))
    expectError({ CNI_COMMAND, ...nothing }, stdin, 'INVALID_ENVIRONMENT', ...required)
  })

  it.each(['-a', '.a', '_a', 'a/b', 'a b', 'ä', 'a\n', '../x'])(
    'with container id %j is refused',
    (CNI_CONTAINERID) => {
      const shown = JSON.stringify(CNI_CONTAINERID)
      expectError(
        { CNI_COMMAND, CNI_CONTAINERID },
        stdin,
        'INVALID_ENVIRONMENT',
        'CNI_CONTAINERID',
        shown,
        'letter or digit',
      )
    },
  )

  it.each(['.', '..', 'a/b', 'a:b', 'a b', 'a\tb', 'sixteen-letters-', 'eth%d', 'ööööööööö'])(
    'with interface %j is refused',
    (CNI_IFNAME) => {
      expectError({ CNI_COMMAND, CNI_IFNAME }, stdin, 'INVALID_ENVIRONMENT', 'CNI_IFNAME', JSON.stringify(CNI_IFNAME))
    },
  )

  it.each(['a', 'A9_.-', '0'])('with container id %j is accepted', (CNI_CONTAINERID) => {
    const env = { ...attachmentEnv, CNI_COMMAND, CNI_CONTAINERID }
    expect(parseRequest(invocationOf(env, stdin))).toMatchObject({ value: { key: { containerId: CNI_CONTAINERID } } })
  })

  it.each(['e', 'fifteen-letters', '...', 'net1.100'])('with interface %j is accepted', (CNI_IFNAME) => {
    const env = { ...attachmentEnv, CNI_COMMAND, CNI_IFNAME }
    expect(parseRequest(invocationOf(env, stdin))).toMatchObject({ value: { key: { ifname: CNI_IFNAME } } })
  })
})

describe.each(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'])('%s needs a configuration', (CNI_COMMAND) => {
  it.each([
    ['nothing', ''],
    ['half of one', '{"cniVersion":"1.1.0","name"'],
    ['no JSON', 'cniVersion: 1.1.0'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a string', '"1.1.0"'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ['a hundred thousand brackets', '['.repeat(100_000) + ']'.repeat(100_000)],
  ])('and is given %s', (_name, stdin) => {
    expectError({ CNI_COMMAND }, stdin, 'DECODING_FAILURE', 'configuration')
  })

  it.each(['0.1.0', '0.2.0', '0.5.0', '1.2.0', 'v1.0.0', '1.0', ' 1.0.0'])(
    'of a known version, not %j',
    (cniVersion) => {
      const supported = 'supported are 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0'
      expectError({ CNI_COMMAND }, configText({ cniVersion }), 'INCOMPATIBLE_VERSION', `"${cniVersion}"`, supported)
    },
  )

  it.each([undefined, null, ''])('with a version, not %j', (cniVersion) => {
    expectError({ CNI_COMMAND }, configText({ cniVersion }), 'INCOMPATIBLE_VERSION', 'cniVersion is missing', '0.3.0')
  })

  it('whose version is text', () => {
    expectError({ CNI_COMMAND }, configText({ cniVersion: 1.1 }), 'INVALID_CONFIG', 'cniVersion: 1.1', '1.1.0')
  })

  it.each([undefined, null, '', 7, '-net', 'a/b', 'my net'])('with a name, not %j', (name) => {
    const shown =
      typeof name === 'number' || (typeof name === 'string' && name !== '') ? JSON.stringify(name) : 'required'
    expectError({ CNI_COMMAND }, configText({ name }), 'INVALID_CONFIG', 'name: ', shown)
  })
})

describe('a field is refused by its name, with its value and what would be valid', () => {
  const mtu = ['mtu: ', 'from 1280 to 9216']
  it.each<[string, Fields, string, ...(readonly string[])]>([
    ['ADD', { mtu: 1279 }, '1279', ...mtu],
    ['ADD', { mtu: 9217 }, '9217', ...mtu],
    ['ADD', { mtu: 1500.5 }, '1500.5', ...mtu],
    ['ADD', { mtu: '1500' }, '"1500"', ...mtu],
    ['CHECK', { mtu: 0, prevResult }, '0', ...mtu],
    ['STATUS', { mtu: 65536 }, '65536', ...mtu],
    ['ADD', { dns: [] }, 'dns: ', 'expected object'],
    ['ADD', { dns: { search: 'local' } }, 'dns.search: ', 'expected array', '"local"'],
    ['ADD', { dns: { options: ['a', 5] } }, 'dns.options[1]: ', 'expected string', '5'],
    ['ADD', { runtimeConfig: { ips: '10.0.4.7' } }, 'runtimeConfig.ips: ', '"10.0.4.7"'],
    ['ADD', { runtimeConfig: { ips: ['10.0.4.7', 'fd00::7/64'] } }, 'runtimeConfig.ips[1]: ', '"fd00::7/64"', 'IPv4'],
    ['ADD', { args: { cni: { ips: ['10.0.4.256'] } } }, 'args.cni.ips[0]: ', '"10.0.4.256"', '10.0.4.7'],
    [
      'ADD',
      { runtimeConfig: { ips: ['10.0.4.7', '10.0.4.8'] } },
      'runtimeConfig.ips',
      'one address',
      '10.0.4.7, 10.0.4.8',
    ],
    ['ADD', { prevResult: 'none' }, 'prevResult: ', 'expected object', '"none"'],
    ['ADD', { prevResult: { ips: [{ address: '10.0.4.7' }] } }, 'prevResult.ips[0].address: ', '"10.0.4.7"', '/32'],
    ['ADD', { prevResult: { ips: [{}] } }, 'prevResult.ips[0].address: is required'],
    ['ADD', { prevResult: { interfaces: [{ mac: 'x' }] } }, 'prevResult.interfaces[0].name: is required'],
    ['CHECK', {}, 'prevResult: is required'],
    ['CHECK', { prevResult: null }, 'prevResult: is required'],
    ['CHECK', { prevResult: { routes: [{ dst: 'default' }] } }, 'prevResult.routes[0].dst: ', '"default"'],
    ['GC', { disableGC: 'yes' }, 'disableGC: ', 'expected boolean', '"yes"'],
    ['GC', { 'cni.dev/valid-attachments': {} }, 'cni.dev/valid-attachments: ', 'expected array'],
    ['GC', { 'cni.dev/valid-attachments': [{ containerID: 'a' }] }, 'cni.dev/valid-attachments[0].ifname: is required'],
    ['GC', { 'cni.dev/attachments': [null] }, 'cni.dev/attachments[0]: ', 'expected object'],
  ])('%s with %j', (CNI_COMMAND, fields, ...words) => {
    expectError({ CNI_COMMAND }, configText(fields), 'INVALID_CONFIG', ...words)
  })
})

describe.each(['ADD', 'CHECK'])('%s', (CNI_COMMAND) => {
  const stdin = configText({ prevResult })

  it.each(['K8S_POD_NAME', 'A=1;B', '=1'])('with CNI_ARGS %j is refused', (CNI_ARGS) => {
    expectError({ CNI_COMMAND, CNI_ARGS }, stdin, 'INVALID_ENVIRONMENT', 'CNI_ARGS', 'KEY=VALUE')
  })

  it('with a pod that has no valid name is refused', () => {
    const CNI_ARGS = 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web/0'
    expectError({ CNI_COMMAND, CNI_ARGS }, stdin, 'INVALID_ENVIRONMENT', 'K8S_POD_NAME', '"web/0"')
  })

  it('with a relative namespace path is refused', () => {
    expectError({ CNI_COMMAND, CNI_NETNS: 'cni-1' }, stdin, 'INVALID_ENVIRONMENT', 'CNI_NETNS', '"cni-1"', 'absolute')
  })
})

test.each(['10.0.4', '10.0.4.256', '10.0.4.7/33', '10.0.4.7/', '10.0.4.7/24/24', 'fd00::7', 'any'])(
  'ADD for the address %s in CNI_ARGS is refused',
  (ip) => {
    const env = { CNI_COMMAND: 'ADD', CNI_ARGS: `IP=${ip}` }
    expectError(env, configText(), 'INVALID_CONFIG', 'CNI_ARGS IP', `"${ip}"`, '10.0.4.7/24')
  },
)

test('whatever comes in, the outcome is a request or an error with a code, a message and details', () => {
  const config = fc.record(
    {
      cniVersion: fc.constantFrom(...supportedVersions),
      name: fc.constant('vcn-cni'),
      mtu: fc.jsonValue(),
      dns: fc.jsonValue(),
      prevResult: fc.jsonValue(),
      runtimeConfig: fc.jsonValue(),
      'cni.dev/valid-attachments': fc.jsonValue(),
    },
    { requiredKeys: ['cniVersion', 'name'] },
  )
  const stdin = fc.oneof(
    config.map((value) => JSON.stringify(value)),
    fc.json(),
    fc.string(),
  )
  const command = fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION')
  fc.assert(
    fc.property(command, stdin, fc.string(), (CNI_COMMAND, text, CNI_ARGS) => {
      const parsed = parseRequest(invocationOf({ ...attachmentEnv, CNI_COMMAND, CNI_ARGS }, text))
      if (parsed.ok) expect(parsed.value.command).toBe(CNI_COMMAND)
      else
        expect([parsed.error.code > 0, parsed.error.msg !== '', parsed.error.details !== '']).toEqual([
          true,
          true,
          true,
        ])
    }),
    { numRuns: 2000 },
  )
})
