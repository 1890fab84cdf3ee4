import { isIP } from 'node:net'
import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import { hasAddressVersion, hasLinkDetails, type SpecVersion, supportedVersions } from './versions.ts'

/**
 * Address and prefix length, such as 10.0.4.7/32 or fd00::7/128. The type demands the slash because plugins further
 * down the chain reject a bare address (Go's net.ParseCIDR).
 */
export type AddressWithPrefix = `${string}/${number}`

/** What ADD returns and prevResult carries, in the shape of 1.1.0 (SPEC.md, section 5, "ADD Success"). */
export interface CniResult {
  readonly interfaces: readonly CniInterface[]
  readonly ips: readonly CniIp[]
  readonly routes: readonly CniRoute[]
  readonly dns: CniDns
}

export interface CniInterface {
  readonly name: string
  readonly mac?: string
  readonly mtu?: number
  /** Path of the namespace; absent for an interface of the host. */
  readonly sandbox?: string
  readonly socketPath?: string
  readonly pciID?: string
}

export interface CniIp {
  readonly address: AddressWithPrefix
  readonly gateway?: string
  /** Index into the same result's `interfaces`. */
  readonly interface?: number
}

export interface CniRoute {
  readonly dst: AddressWithPrefix
  readonly gw?: string
  readonly mtu?: number
  readonly advmss?: number
  readonly priority?: number
  readonly table?: number
  readonly scope?: number
}

export interface CniDns {
  readonly nameservers?: readonly string[]
  readonly domain?: string
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

const addressSchema = z.string().refine((text) => isIP(text) !== 0, 'is not an IP address')
const addressWithPrefixSchema = z.string().transform(viaParser(parseAddressWithPrefix))
const wholeNumber = z.int().nonnegative()

export const dnsSchema = z.object({
  nameservers: z.array(z.string()).exactOptional(),
  domain: z.string().exactOptional(),
  search: z.array(z.string()).exactOptional(),
  options: z.array(z.string()).exactOptional(),
})

const plainInterface = z.object({
  name: z.string(),
  mac: z.string().exactOptional(),
  sandbox: z.string().exactOptional(),
})
const detailedInterface = plainInterface.extend({
  mtu: wholeNumber.exactOptional(),
  socketPath: z.string().exactOptional(),
  pciID: z.string().exactOptional(),
})

const plainRoute = z.object({ dst: addressWithPrefixSchema, gw: addressSchema.exactOptional() })
const detailedRoute = plainRoute.extend({
  mtu: wholeNumber.exactOptional(),
  advmss: wholeNumber.exactOptional(),
  priority: wholeNumber.exactOptional(),
  table: wholeNumber.exactOptional(),
  scope: wholeNumber.exactOptional(),
})

/** `ips[].version` of the older shapes is not read: the address tells its family. */
const ipSchema = z.object({
  address: addressWithPrefixSchema,
  gateway: addressSchema.exactOptional(),
  interface: wholeNumber.exactOptional(),
})

// Any list may be absent: plugins written in Go leave empty ones out.
const plainResult = z.object({
  interfaces: z.array(plainInterface).default([]),
  ips: z.array(ipSchema).default([]),
  routes: z.array(plainRoute).default([]),
  dns: dnsSchema.default({}),
})
const detailedResult = plainResult.extend({
  interfaces: z.array(detailedInterface).default([]),
  routes: z.array(detailedRoute).default([]),
})

/** Reads a result as `version` defines it: fields of other versions and plugins' own fields are dropped. */
export function parseResult(raw: unknown, version: SpecVersion): Result<CniResult, readonly FieldError[]> {
  return parseWith<CniResult>(hasLinkDetails(version) ? detailedResult : plainResult, raw)
}

/** The JSON text for standard output, in the version the configuration asks for. */
export function renderResult(result: CniResult, version: SpecVersion): string {
  const detailed = hasLinkDetails(version)
  return JSON.stringify({
    cniVersion: version,
    interfaces: detailed ? result.interfaces : result.interfaces.map(withoutInterfaceDetails),
    ips: hasAddressVersion(version) ? result.ips.map(withAddressVersion) : result.ips,
    routes: detailed ? result.routes : result.routes.map(withoutRouteDetails),
    dns: result.dns,
  })
}

/** `cniVersion` echoes the request's, known to us or not (SPEC.md, section 2, "VERSION"). */
export function renderVersionResult(cniVersion: string): string {
  return JSON.stringify({ cniVersion, supportedVersions })
}

/** Our part of a chain's result after what the plugins before us returned; their interfaces keep their indexes. */
export function mergeResults(previous: CniResult, ours: CniResult): CniResult {
  const shift = previous.interfaces.length
  const shifted = ours.ips.map((ip) => (ip.interface === undefined ? ip : { ...ip, interface: ip.interface + shift }))
  return {
    interfaces: [...previous.interfaces, ...ours.interfaces],
    ips: [...previous.ips, ...shifted],
    routes: [...previous.routes, ...ours.routes],
    dns: isEmptyDns(ours.dns) ? previous.dns : ours.dns,
  }
}

function parseAddressWithPrefix(text: string): Result<AddressWithPrefix, string> {
  const [address = '', length = '', ...rest] = text.split('/')
  const family = isIP(address)
  const lengthIsValid = /^\d{1,3}$/.test(length) && Number(length) <= (family === 4 ? 32 : 128)
  if (family !== 0 && lengthIsValid && rest.length === 0) return ok<AddressWithPrefix>(`${address}/${Number(length)}`)
  return err(`${JSON.stringify(text)} is not an IP address with its prefix length, such as 10.0.4.7/32`)
}

function isEmptyDns(dns: CniDns): boolean {
  const { nameservers = [], domain = '', search = [], options = [] } = dns
  return domain === '' && nameservers.length + search.length + options.length === 0
}

function withoutInterfaceDetails({ mtu: _mtu, socketPath: _path, pciID: _pci, ...plain }: CniInterface): CniInterface {
  return plain
}

function withoutRouteDetails({ dst, gw }: CniRoute): CniRoute {
  return { dst, ...(gw === undefined ? {} : { gw }) }
}

function withAddressVersion(ip: CniIp): CniIp & { readonly version: '4' | '6' } {
  return { version: ip.address.includes(':') ? '6' : '4', ...ip }
}
