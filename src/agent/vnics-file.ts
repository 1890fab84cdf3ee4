import * as z from 'zod'
import { cidrContains, cidrSize, formatCidr, type Ipv4Cidr, parseIpv4Cidr } from '../base/cidr.ts'
import { type Ipv4, ipv4ToNumber, parseIpv4 } from '../base/ip.ts'
import { macToBytes, parseMac } from '../base/mac.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import type { Vnic, VnicId } from '../base/vnic.ts'

const address = z.string('must be an IPv4 address').transform(viaParser(parseIpv4))

const vnicSchema = z.strictObject({
  id: z.string('must be text: the VNIC’s OCID or any unique name').min(1, 'must not be empty'),
  mac: z.string('must be the MAC address of the interface').transform(viaParser(parseMac)),
  primary: z.boolean('must be true or false').default(false),
  subnetCidr: z.string('must be an IPv4 block').transform(viaParser(parseIpv4Cidr)),
  routerIp: address,
  primaryAddress: address.exactOptional(),
  addresses: z.array(address, 'must be a list of addresses').default([]),
})

const fileSchema = z.strictObject({
  vnics: z.array(vnicSchema, 'must be a list of VNICs').min(1, 'must not be empty'),
})

/** The standalone address source. `raw` is the parsed YAML (or JSON) of the file. */
export function parseVnicsFile(raw: unknown): Result<readonly Vnic[], readonly FieldError[]> {
  const parsed = parseWith(fileSchema, raw)
  if (!parsed.ok) return parsed
  const vnics = parsed.value.vnics.map(({ id, primary, ...rest }) => ({ ...rest, id: vnicId(id), isPrimary: primary }))
  const errors = checkVnics(vnics)
  return errors.length === 0 ? ok(vnics) : err(errors)
}

/** What is wrong with well-formed VNICs of one node; fields are `vnics[0].mac` and so on. */
export function checkVnics(vnics: readonly Vnic[]): readonly FieldError[] {
  return [...vnics.flatMap(checkVnic), ...checkTogether(vnics)]
}

function vnicId(text: string): VnicId {
  return text as VnicId
}

function checkVnic(vnic: Vnic, index: number): readonly FieldError[] {
  const { mac, subnetCidr, routerIp, primaryAddress, addresses } = vnic
  const at = `vnics[${index}]`
  const errors: FieldError[] = []
  // The loopback has the zero address; a group address is nobody's own (IEEE 802, the first octet's lowest bit).
  if (mac === '00:00:00:00:00:00' || (macToBytes(mac).readUInt8(0) & 1) !== 0)
    errors.push({ field: `${at}.mac`, problem: `${mac} is no interface's own address (zero, or of a group)` })
  if (subnetCidr.prefixLength < 16 || subnetCidr.prefixLength > 30)
    errors.push({ field: `${at}.subnetCidr`, problem: `${formatCidr(subnetCidr)}: subnets of a VCN have /16 to /30` })
  const fields: readonly (readonly [string, Ipv4])[] = [
    [`${at}.routerIp`, routerIp],
    ...(primaryAddress === undefined ? [] : [[`${at}.primaryAddress`, primaryAddress] as const]),
    ...addresses.map((secondary, position) => [`${at}.addresses[${position}]`, secondary] as const),
  ]
  for (const [field, value] of fields) {
    const problem = addressProblem(value, subnetCidr, field.endsWith('routerIp') ? undefined : routerIp)
    if (problem !== undefined) errors.push({ field, problem: `${value} ${problem}` })
  }
  return errors
}

// The first two addresses of a subnet and its last one are the VCN's own.
function addressProblem(value: Ipv4, subnet: Ipv4Cidr, routerIp: Ipv4 | undefined): string | undefined {
  if (!cidrContains(subnet, value)) return `is not in subnetCidr ${formatCidr(subnet)}`
  if (routerIp === undefined) return undefined
  if (value === routerIp) return 'is the router of the subnet'
  const offset = ipv4ToNumber(value) - ipv4ToNumber(subnet.address)
  const reserved = offset < 2 || offset === cidrSize(subnet) - 1
  return reserved ? `is reserved by the VCN (the first two addresses of ${formatCidr(subnet)} and its last)` : undefined
}

function checkTogether(vnics: readonly Vnic[]): readonly FieldError[] {
  const errors: FieldError[] = []
  const seen = new Map<string, string>()
  const unique = (field: string, value: string): void => {
    const earlier = seen.get(value)
    if (earlier === undefined) seen.set(value, field)
    else errors.push({ field, problem: `${value} is already at ${earlier}` })
  }
  vnics.forEach((vnic, index) => {
    const at = `vnics[${index}]`
    unique(`${at}.id`, `id ${vnic.id}`)
    unique(`${at}.mac`, vnic.mac)
    if (vnic.isPrimary) unique(`${at}.primary`, 'the primary VNIC')
    if (vnic.primaryAddress !== undefined) unique(`${at}.primaryAddress`, vnic.primaryAddress)
    vnic.addresses.forEach((value, position) => unique(`${at}.addresses[${position}]`, value))
  })
  return [
    ...errors,
    ...overlappingSubnets(vnics),
    ...vnics.flatMap((vnic, index) => checkNeighbours(vnic, index, vnics)),
  ]
}

/** What VNICs of one subnet must agree on, or tell each other. */
function checkNeighbours(vnic: Vnic, index: number, vnics: readonly Vnic[]): readonly FieldError[] {
  const sameSubnet = (other: Vnic): boolean => formatCidr(other.subnetCidr) === formatCidr(vnic.subnetCidr)
  const errors: FieldError[] = []
  const before = vnics.slice(0, index).find(sameSubnet)
  if (before !== undefined && before.routerIp !== vnic.routerIp) {
    const problem = `${vnic.routerIp} is not the router of VNIC ${before.id} in the same subnet, ${before.routerIp}`
    errors.push({ field: `vnics[${index}].routerIp`, problem })
  }
  const neighbour = vnics.find((other) => other !== vnic && sameSubnet(other))
  if (vnic.isPrimary && vnic.primaryAddress === undefined && neighbour !== undefined) {
    // The source rule of the other VNIC would cover the node's own address, and take the node off the network.
    const problem = `is required: VNIC ${neighbour.id} is in the same subnet, and must not get the node's own packets`
    errors.push({ field: `vnics[${index}].primaryAddress`, problem })
  }
  return errors
}

// Two subnets of a VCN never overlap: one of the two is mistyped, and source rules could not tell their addresses apart.
function overlappingSubnets(vnics: readonly Vnic[]): readonly FieldError[] {
  return vnics.flatMap((vnic, index) => {
    const other = vnics.slice(0, index).find(({ subnetCidr }) => {
      const same = formatCidr(subnetCidr) === formatCidr(vnic.subnetCidr)
      return (
        !same &&
        (cidrContains(subnetCidr, vnic.subnetCidr.address) || cidrContains(vnic.subnetCidr, subnetCidr.address))
      )
    })
    if (other === undefined) return []
    const problem = `${formatCidr(vnic.subnetCidr)} overlaps ${formatCidr(other.subnetCidr)} of VNIC ${other.id}`
    return [{ field: `vnics[${index}].subnetCidr`, problem }]
  })
}
