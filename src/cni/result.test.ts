import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { unwrap } from '../base/result.ts'
import { fullResult } from './result.fixture.ts'
import {
  type AddressWithPrefix,
  type CniResult,
  mergeResults,
  parseResult,
  renderResult,
  renderVersionResult,
} from './result.ts'
import { supportedVersions } from './versions.ts'

const empty: CniResult = { interfaces: [], ips: [], routes: [], dns: {} }

function golden(version: string): unknown {
  return JSON.parse(readFileSync(new URL(`testdata/result-${version}.json`, import.meta.url), 'utf8'))
}

/** What is left of a result in versions that know nothing of the fields 1.1.0 brought. */
function withoutDetails(result: CniResult): CniResult {
  const only = (fields: readonly string[], from: object) =>
    Object.fromEntries(Object.entries(from).filter(([field]) => fields.includes(field)))
  return {
    ...result,
    interfaces: result.interfaces.map((from) => ({ name: from.name, ...only(['mac', 'sandbox'], from) })),
    routes: result.routes.map((from) => ({ dst: from.dst, ...only(['gw'], from) })),
  }
}

describe.each(supportedVersions)('a result in version %s', (version) => {
  const expected = version === '1.1.0' ? fullResult : withoutDetails(fullResult)

  it('is rendered as the specification has it', () => {
    expect(JSON.parse(renderResult(fullResult, version))).toEqual(golden(version))
  })

  it('is parsed into the shape of 1.1.0', () => {
    expect(unwrap(parseResult(golden(version), version))).toEqual(expected)
  })

  it('survives rendering and parsing, whatever is in it', () => {
    fc.assert(
      fc.property(results(), (result) => {
        const kept = version === '1.1.0' ? result : withoutDetails(result)
        expect(unwrap(parseResult(JSON.parse(renderResult(result, version)), version))).toEqual(kept)
      }),
    )
  })

  it('may come with lists missing and with fields nobody knows', () => {
    const raw = { cniVersion: version, ips: [{ address: '10.0.4.7/32', colour: 'blue' }], vendor: { key: 1 } }
    expect(unwrap(parseResult(raw, version))).toEqual({ ...empty, ips: [{ address: '10.0.4.7/32' }] })
  })
})

/** Plugins written in Go are the strictest readers there are. portmap without ports returns prevResult as it read it. */
describe.skipIf(!existsSync('/usr/lib/cni/portmap'))('the reference plugin portmap', () => {
  it.each(['0.3.0', '0.3.1', '0.4.0', '1.0.0'] as const)(
    'reads our result in version %s, and we read its',
    (version) => {
      const input = `{"cniVersion":"${version}","name":"n","type":"portmap","prevResult":${renderResult(fullResult, version)}}`
      const env = {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: 'c',
        CNI_NETNS: '/run/netns/none',
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/usr/lib/cni',
      }
      const { stdout, status } = spawnSync('/usr/lib/cni/portmap', { env, input, encoding: 'utf8' })
      expect({ stdout, status }).toMatchObject({ status: 0 })
      expect(unwrap(parseResult(JSON.parse(stdout), version))).toEqual(withoutDetails(fullResult))
    },
  )
})

describe('a result that cannot be read', () => {
  it.each([
    [null, ''],
    [{ interfaces: {} }, 'interfaces'],
    [{ interfaces: [{ name: 7 }] }, 'interfaces[0].name'],
    [{ interfaces: [{ name: 'eth0', mtu: '9000' }] }, 'interfaces[0].mtu'],
    [{ ips: [{ address: '10.0.4.7' }] }, 'ips[0].address'],
    [{ ips: [{ address: '10.0.4.7/33' }] }, 'ips[0].address'],
    [{ ips: [{ address: 'fd00::7/129' }] }, 'ips[0].address'],
    [{ ips: [{ address: '10.0.4.7/24/1' }] }, 'ips[0].address'],
    [{ ips: [{ address: '010.0.4.7/24' }] }, 'ips[0].address'],
    [{ ips: [{ address: '10.0.4.7/32', gateway: 'router' }] }, 'ips[0].gateway'],
    [{ ips: [{ address: '10.0.4.7/32', interface: -1 }] }, 'ips[0].interface'],
    [{ routes: [{ gw: '10.0.4.1' }] }, 'routes[0].dst'],
    [{ routes: [{ dst: '0.0.0.0/0', table: 1.5 }] }, 'routes[0].table'],
    [{ dns: { search: 'local' } }, 'dns.search'],
  ])('%j names its field', (raw, field) => {
    expect(parseResult(raw, '1.1.0')).toMatchObject({ ok: false, error: [{ field }] })
  })

  it('may still do in a version that has no such field', () => {
    const raw = { interfaces: [{ name: 'eth0', mtu: '9000' }] }
    expect(unwrap(parseResult(raw, '1.0.0'))).toEqual({ ...empty, interfaces: [{ name: 'eth0' }] })
  })
})

describe('our result in a chain', () => {
  const previous: CniResult = {
    interfaces: [{ name: 'lo', sandbox: '/run/netns/cni-1' }, { name: 'tun0' }],
    ips: [{ address: '127.0.0.1/8', interface: 0 }],
    routes: [{ dst: '192.168.0.0/16' }],
    dns: { nameservers: ['1.1.1.1'] },
  }

  it('comes after what was there, with its interfaces counted on', () => {
    expect(mergeResults(previous, fullResult)).toEqual({
      interfaces: [...previous.interfaces, ...fullResult.interfaces],
      ips: [
        { address: '127.0.0.1/8', interface: 0 },
        { address: '10.0.4.7/32', gateway: '169.254.1.1', interface: 3 },
        { address: 'fd00::7/128', interface: 3 },
      ],
      routes: [...previous.routes, ...fullResult.routes],
      dns: fullResult.dns,
    })
  })

  it.each([{}, { nameservers: [], domain: '', search: [], options: [] }])('leaves DNS alone when ours is %j', (dns) => {
    expect(mergeResults(previous, { ...fullResult, dns }).dns).toEqual(previous.dns)
  })

  it('gives no interface to an address that has none', () => {
    expect(mergeResults(previous, { ...empty, ips: [{ address: '10.0.4.7/32' }] }).ips[1]).toEqual({
      address: '10.0.4.7/32',
    })
  })

  it('is the same after nothing', () => {
    fc.assert(
      fc.property(results(), (any) => {
        const ours = { ...any, dns: fullResult.dns }
        expect(mergeResults(empty, ours)).toEqual(ours)
      }),
    )
  })
})

test('the answer to VERSION echoes the version it was asked in', () => {
  expect(JSON.parse(renderVersionResult('0.3.1'))).toEqual({
    cniVersion: '0.3.1',
    supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
  })
})

function results(): fc.Arbitrary<CniResult> {
  const text = fc.string()
  const number = fc.nat()
  const ip = fc.oneof(fc.ipV4(), fc.ipV6())
  const address = fc.oneof(
    fc.tuple(fc.ipV4(), fc.nat(32)).map(([host, length]): AddressWithPrefix => `${host}/${length}`),
    fc.tuple(fc.ipV6(), fc.nat(128)).map(([host, length]): AddressWithPrefix => `${host}/${length}`),
  )
  const requiring = <K extends string>(...requiredKeys: K[]) => ({ requiredKeys })
  return fc.record({
    interfaces: fc.array(
      fc.record(
        { name: text, mac: text, mtu: number, sandbox: text, socketPath: text, pciID: text },
        requiring('name'),
      ),
    ),
    ips: fc.array(fc.record({ address, gateway: ip, interface: number }, requiring('address'))),
    routes: fc.array(
      fc.record(
        { dst: address, gw: ip, mtu: number, advmss: number, priority: number, table: number, scope: number },
        requiring('dst'),
      ),
    ),
    dns: fc.record(
      { nameservers: fc.array(text), domain: text, search: fc.array(text), options: fc.array(text) },
      { requiredKeys: [] },
    ),
  })
}
