import * as z from 'zod'
import type { Cidr } from '../base/cidr.ts'
import { familyOf, ipToBytes } from '../base/ip.ts'
import { ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import { type LabelSelector, readLabelSelector } from './label-selector.ts'
import { LenientReader } from './lenient-reader.ts'
import { type KubeObject, objectMeta, type ObjectMeta, withoutUndefined } from './object.ts'
import { everyPort, type PolicyPort, portNameOrNumber, portRange } from './policy-port.ts'
import { parseSourceRange } from './service-address.ts'
import { portNumber, protocolOrTcp } from './service-port.ts'

/**
 * A networking.k8s.io/v1 NetworkPolicy. What is wrong in it is in `problems` and allows nothing; whom it selects, it still
 * isolates.
 */
export interface NetworkPolicy extends KubeObject {
  readonly metadata: ObjectMeta & { readonly namespace: string }
  /** Of the pods of its namespace. */
  readonly podSelector: LabelSelector
  /** Absent: it does not isolate the direction. Empty: it isolates and allows nobody. */
  readonly ingress?: readonly NetworkPolicyRule[]
  readonly egress?: readonly NetworkPolicyRule[]
  readonly problems: readonly FieldError[]
}

/** Allows what both lists match; an empty list matches nothing. */
export interface NetworkPolicyRule {
  readonly peers: 'any' | readonly NetworkPolicyPeer[]
  readonly ports: 'any' | readonly PolicyPort[]
}

export type NetworkPolicyPeer =
  /** Without namespaceSelector: of the policy's own namespace. */
  | { readonly kind: 'pods'; readonly namespaceSelector?: LabelSelector; readonly podSelector: LabelSelector }
  | { readonly kind: 'block'; readonly block: Cidr; readonly except: readonly Cidr[] }

const envelope = z.object({ metadata: objectMeta, spec: z.record(z.string(), z.unknown()).nullish() })
const directions = ['Ingress', 'Egress'] as const
type Direction = (typeof directions)[number]
const policyType: z.ZodType<Direction> = z.enum(directions, `must be ${directions.join(' or ')}`)
const cidr: z.ZodType<Cidr> = z.string('must be a block of addresses').transform(viaParser(parseSourceRange))

// Strict: a field of the future would narrow what its neighbours say, and to overlook it would allow more than was meant.
const unknownIfPresent = z.unknown().optional()
const peerShape = z.strictObject({
  podSelector: unknownIfPresent,
  namespaceSelector: unknownIfPresent,
  ipBlock: unknownIfPresent,
})
const blockShape = z.strictObject({ cidr, except: unknownIfPresent })
const portShape = z.strictObject({
  protocol: protocolOrTcp,
  port: portNameOrNumber.nullish(),
  endPort: portNumber.nullish(),
})
const ruleShapes = {
  Ingress: z.strictObject({ from: unknownIfPresent, ports: unknownIfPresent }),
  Egress: z.strictObject({ to: unknownIfPresent, ports: unknownIfPresent }),
} as const

const allowsNothing: NetworkPolicyRule = { peers: [], ports: [] }

export function parseNetworkPolicy(raw: unknown): Result<NetworkPolicy, readonly FieldError[]> {
  const parsed = parseWith(envelope, raw)
  if (!parsed.ok) return parsed
  const { metadata } = parsed.value
  const spec = parsed.value.spec ?? {}
  const reader = new LenientReader()
  const subject = readLabelSelector(reader, spec['podSelector'] ?? {}, 'spec.podSelector')
  const types = readTypes(reader, spec)
  const rules = (direction: Direction, name: string): readonly NetworkPolicyRule[] | undefined => {
    if (!types.has(direction)) return undefined
    const read = readRules(reader, direction, spec[name], `spec.${name}`)
    // Selecting more pods than meant, it may isolate them; what it allows was not meant for them.
    return subject.isComplete ? read : []
  }
  const view = {
    metadata: { ...metadata, namespace: metadata.namespace ?? 'default' },
    podSelector: subject.selector,
    ingress: rules('Ingress', 'ingress'),
    egress: rules('Egress', 'egress'),
    problems: reader.problems,
  }
  return ok(withoutUndefined(view))
}

// The API server writes the default into what it stores; what is unreadable counts as not written.
function readTypes(reader: LenientReader, spec: Readonly<Record<string, unknown>>): ReadonlySet<Direction> {
  const problemsBefore = reader.problems.length
  const types = new Set(reader.readEach(policyType, spec['policyTypes'], 'spec.policyTypes'))
  if (types.size > 0 && reader.problems.length === problemsBefore) return types
  types.add('Ingress')
  if (!isAbsentOrEmpty(spec['egress'])) types.add('Egress')
  return types
}

function readRules(
  reader: LenientReader,
  direction: Direction,
  raw: unknown,
  field: string,
): readonly NetworkPolicyRule[] {
  return reader.readEachWith(raw, field, (element, name) => {
    const peersName = direction === 'Ingress' ? 'from' : 'to'
    const rule = reader.read<Readonly<Record<string, unknown>> | undefined>(
      ruleShapes[direction],
      // Go clients write a rule that allows everything as null in YAML's `- `.
      element ?? {},
      name,
      undefined,
    )
    // It keeps its place: the rules after it are known by their numbers.
    if (rule === undefined) return allowsNothing
    return {
      peers: readPeers(reader, rule[peersName], `${name}.${peersName}`),
      ports: readPorts(reader, rule['ports'], `${name}.ports`),
    }
  })
}

function readPeers(reader: LenientReader, raw: unknown, field: string): NetworkPolicyRule['peers'] {
  return isAbsentOrEmpty(raw) ? 'any' : reader.readEachWith(raw, field, (peer, name) => readPeer(reader, peer, name))
}

function readPeer(reader: LenientReader, raw: unknown, field: string): NetworkPolicyPeer | undefined {
  const peer = reader.read<z.infer<typeof peerShape> | undefined>(peerShape, raw, field, undefined)
  if (peer === undefined) return undefined
  const { podSelector: pods, namespaceSelector: namespaces, ipBlock } = peer
  const hasSelector = isPresent(pods) || isPresent(namespaces)
  if (hasSelector === isPresent(ipBlock)) {
    reader.report(field, 'must have either podSelector and namespaceSelector, one or both, or ipBlock')
    return undefined
  }
  if (isPresent(ipBlock)) return readBlock(reader, ipBlock, `${field}.ipBlock`)
  const podSelector = readLabelSelector(reader, pods ?? {}, `${field}.podSelector`)
  const namespaceSelector = readLabelSelector(reader, namespaces ?? {}, `${field}.namespaceSelector`)
  if (!podSelector.isComplete || !namespaceSelector.isComplete) return undefined
  return {
    kind: 'pods',
    podSelector: podSelector.selector,
    ...(isPresent(namespaces) && { namespaceSelector: namespaceSelector.selector }),
  }
}

function readBlock(reader: LenientReader, raw: unknown, field: string): NetworkPolicyPeer | undefined {
  const problemsBefore = reader.problems.length
  const read = reader.read<z.infer<typeof blockShape> | undefined>(blockShape, raw, field, undefined)
  if (read === undefined) return undefined
  const { cidr: block } = read
  const except = reader.readEachWith(read.except, `${field}.except`, (element, name) => {
    const one = reader.read<Cidr | undefined>(cidr, element, name, undefined)
    if (one !== undefined && !isStrictlyWithin(one, block))
      reader.report(
        name,
        `${JSON.stringify(element)} must be a part of the block ${block.address}/${block.prefixLength}`,
      )
    return one
  })
  // Without the exception that could not be read, the block would allow what was to be left out.
  return reader.problems.length === problemsBefore ? { kind: 'block', block, except } : undefined
}

function readPorts(reader: LenientReader, raw: unknown, field: string): NetworkPolicyRule['ports'] {
  return isAbsentOrEmpty(raw) ? 'any' : reader.readEachWith(raw, field, (port, name) => readPort(reader, port, name))
}

function readPort(reader: LenientReader, raw: unknown, field: string): PolicyPort | undefined {
  const read = reader.read<z.infer<typeof portShape> | undefined>(portShape, raw, field, undefined)
  if (read === undefined) return undefined
  const { protocol, port, endPort } = read
  if (typeof port === 'number') {
    const last = endPort ?? port
    if (last >= port) return portRange(protocol, port, last)
    reader.report(`${field}.endPort`, `must not be less than port (got ${port} to ${last})`)
    return undefined
  }
  if (isPresent(endPort)) {
    reader.report(`${field}.endPort`, `needs a port that is a number (got endPort ${endPort})`)
    return undefined
  }
  return isPresent(port) ? { kind: 'named', name: port, protocol } : everyPort(protocol)
}

/** Go clients write what is absent as null. */
function isPresent<T>(value: T): value is NonNullable<T> {
  return value !== undefined && value !== null
}

function isAbsentOrEmpty(raw: unknown): boolean {
  return !isPresent(raw) || (Array.isArray(raw) && raw.length === 0)
}

function isStrictlyWithin(inner: Cidr, outer: Cidr): boolean {
  if (familyOf(inner.address) !== familyOf(outer.address) || inner.prefixLength <= outer.prefixLength) return false
  const bits = (address: Cidr['address']): string =>
    [...ipToBytes(address)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return bits(inner.address).slice(0, outer.prefixLength) === bits(outer.address).slice(0, outer.prefixLength)
}
