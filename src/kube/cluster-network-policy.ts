import * as z from 'zod'
import type { Cidr } from '../base/cidr.ts'
import { ok, type Result } from '../base/result.ts'
import { type FieldError, parseWith, viaParser } from '../base/schema.ts'
import { everySelector, type LabelSelector, readLabelSelector } from './label-selector.ts'
import { LenientReader } from './lenient-reader.ts'
import { type KubeObject, objectMeta, withoutUndefined } from './object.ts'
import { type PolicyPort, portName, portRange } from './policy-port.ts'
import { parseSourceRange } from './service-address.ts'
import { portNumber, type ServiceProtocol } from './service-port.ts'

/**
 * A policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy. A rule with a peer or protocol that cannot be read fails closed,
 * as the API's types say: Accept then matches nothing, and Deny and Pass deny everything. So does a policy whose place among
 * the others cannot be read: its Accept and Pass rules match nothing, and its Deny rules hold.
 */
export interface ClusterNetworkPolicy extends KubeObject {
  /** Admin, where it could not be read. */
  readonly tier: 'Admin' | 'Baseline'
  /** 0 to 1000; lower ones are asked first. 1000, where it could not be read. */
  readonly priority: number
  /** Absent: it could not be read, and the policy is about nobody. */
  readonly subject?: SelectedPods
  readonly ingress: readonly ClusterNetworkPolicyRule[]
  readonly egress: readonly ClusterNetworkPolicyRule[]
  readonly problems: readonly FieldError[]
}

export interface SelectedPods {
  readonly namespaceSelector: LabelSelector
  readonly podSelector: LabelSelector
}

export interface ClusterNetworkPolicyRule {
  readonly name?: string
  readonly action: 'Accept' | 'Deny' | 'Pass'
  readonly peers: 'any' | readonly ClusterNetworkPolicyPeer[]
  readonly ports: 'any' | readonly PolicyPort[]
}

export type ClusterNetworkPolicyPeer =
  ({ readonly kind: 'pods' } & SelectedPods) | { readonly kind: 'networks'; readonly blocks: readonly Cidr[] }

const tiers = ['Admin', 'Baseline'] as const
const actions = ['Accept', 'Deny', 'Pass'] as const
const prioritySentence = 'must be a whole number from 0 to 1000'
const lastPriority = 1000
const envelope = z.object({
  metadata: objectMeta,
  spec: z.object({
    tier: z.unknown().optional(),
    priority: z.unknown().optional(),
    subject: z.unknown().optional(),
    ingress: z.unknown().optional(),
    egress: z.unknown().optional(),
  }),
})

const tierName: z.ZodType<ClusterNetworkPolicy['tier']> = z.enum(tiers, `must be ${tiers.join(' or ')}`)
const priority: z.ZodType<number> = z
  .number(prioritySentence)
  .int(prioritySentence)
  .min(0, prioritySentence)
  .max(lastPriority, prioritySentence)
const network: z.ZodType<Cidr> = z.string('must be a block of addresses').transform(viaParser(parseSourceRange))
const action: z.ZodType<ClusterNetworkPolicyRule['action']> = z.enum(actions, `must be ${actions.join(', ')}`)
const ruleName: z.ZodType<string | undefined> = z.string('must be text').optional()
// Wherever exactly one field is to be set, an object without one comes from a newer API, whose field this server dropped.
const oneOf = (fields: readonly string[]): z.ZodType<Readonly<Record<string, unknown>>> =>
  z
    .record(z.string(), z.unknown(), `must have exactly one of ${fields.join(', ')}`)
    .refine(
      (value) => Object.keys(value).length === 1 && fields.includes(Object.keys(value)[0] ?? ''),
      `must have exactly one of ${fields.join(', ')}`,
    )
const selections = ['namespaces', 'pods'] as const
const subjectShape = oneOf(selections)
const peerShapes = { ingress: oneOf(selections), egress: oneOf([...selections, 'networks']) } as const
const podsShape = z.strictObject({ namespaceSelector: z.unknown().optional(), podSelector: z.unknown().optional() })
const protocolShape = oneOf(['tcp', 'udp', 'sctp', 'destinationNamedPort'])
const withPort = z.strictObject({ destinationPort: oneOf(['number', 'range']) })
const range = z.strictObject({ start: portNumber, end: portNumber })
const protocols: Readonly<Record<string, ServiceProtocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' }

export function parseClusterNetworkPolicy(raw: unknown): Result<ClusterNetworkPolicy, readonly FieldError[]> {
  const parsed = parseWith(envelope, raw)
  if (!parsed.ok) return parsed
  const { metadata, spec } = parsed.value
  const reader = new LenientReader()
  const place = {
    tier: reader.read(tierName, spec.tier, 'spec.tier', 'Admin'),
    priority: reader.read(priority, spec.priority, 'spec.priority', lastPriority),
  }
  const hasPlace = reader.problems.length === 0
  if (!hasPlace) {
    const taken = `${place.tier} with priority ${place.priority}`
    reader.report('spec', `is taken as ${taken}, of which only Deny rules hold, because its place cannot be read`)
  }
  const ingress = readRules(reader, 'ingress', spec.ingress)
  const egress = readRules(reader, 'egress', spec.egress)
  const view = {
    metadata,
    ...place,
    subject: readSelection(reader, subjectShape, spec.subject, 'spec.subject'),
    ingress: hasPlace ? ingress : ingress.map(denyingOnly),
    egress: hasPlace ? egress : egress.map(denyingOnly),
    problems: reader.problems,
  }
  return ok(withoutUndefined(view))
}

/** Others match nothing; they keep their number. */
function denyingOnly(rule: ClusterNetworkPolicyRule): ClusterNetworkPolicyRule {
  return rule.action === 'Deny' ? rule : { ...rule, peers: [] }
}

function readRules(
  reader: LenientReader,
  direction: 'ingress' | 'egress',
  raw: unknown,
): readonly ClusterNetworkPolicyRule[] {
  return reader.readEachWith(raw, `spec.${direction}`, (element, field) => {
    const rule = z.record(z.string(), z.unknown()).catch({}).parse(element)
    const name = reader.read(ruleName, rule['name'], `${field}.name`, undefined)
    const does = reader.read(action, rule['action'], `${field}.action`, 'Deny')
    const problemsBefore = reader.problems.length
    const peersName = direction === 'ingress' ? 'from' : 'to'
    const peers = readSome(reader, rule[peersName], `${field}.${peersName}`, (peer, peerField) =>
      readPeer(reader, direction, peer, peerField),
    )
    const rawPorts = rule['protocols'] ?? undefined
    const ports: ClusterNetworkPolicyRule['ports'] =
      rawPorts === undefined
        ? 'any'
        : readSome(reader, rawPorts, `${field}.protocols`, (port, portField) => readPort(reader, port, portField))
    const isReadable = reader.problems.length === problemsBefore
    if (!isReadable && does !== 'Accept') {
      reader.report(field, `is taken to deny everything, because not all of this ${does} rule can be read`)
      return withoutUndefined({ name, action: 'Deny' as const, peers: 'any' as const, ports: 'any' as const })
    }
    return withoutUndefined({ name, action: does, peers, ports })
  })
}

/** The API wants at least one. */
function readSome<T>(
  reader: LenientReader,
  raw: unknown,
  field: string,
  read: (element: unknown, elementField: string) => T | undefined,
): readonly T[] {
  if (raw === undefined || raw === null || (Array.isArray(raw) && raw.length === 0))
    reader.report(field, 'must have at least one item')
  return reader.readEachWith(raw, field, read)
}

function readPeer(
  reader: LenientReader,
  direction: 'ingress' | 'egress',
  raw: unknown,
  field: string,
): ClusterNetworkPolicyPeer | undefined {
  const shape = peerShapes[direction]
  const networks = z.object({ networks: z.unknown() }).safeParse(raw).data?.networks
  if (direction === 'ingress' || networks === undefined) {
    const selected = readSelection(reader, shape, raw, field)
    return selected === undefined ? undefined : { kind: 'pods', ...selected }
  }
  if (reader.read<object | undefined>(shape, raw, field, undefined) === undefined) return undefined
  const blocks = readSome(reader, networks, `${field}.networks`, (block, name) =>
    reader.read<Cidr | undefined>(network, block, name, undefined),
  )
  return { kind: 'networks', blocks }
}

function readSelection(
  reader: LenientReader,
  shape: z.ZodType<Readonly<Record<string, unknown>>>,
  raw: unknown,
  field: string,
): SelectedPods | undefined {
  const read = reader.read<Readonly<Record<string, unknown>> | undefined>(shape, raw, field, undefined)
  if (read === undefined) return undefined
  if ('namespaces' in read) {
    const namespaces = readLabelSelector(reader, read['namespaces'], `${field}.namespaces`)
    return namespaces.isComplete ? { namespaceSelector: namespaces.selector, podSelector: everySelector } : undefined
  }
  const pods = reader.read<z.infer<typeof podsShape> | undefined>(podsShape, read['pods'], `${field}.pods`, undefined)
  if (pods === undefined) return undefined
  const namespaceSelector = readLabelSelector(reader, pods.namespaceSelector, `${field}.pods.namespaceSelector`)
  const podSelector = readLabelSelector(reader, pods.podSelector, `${field}.pods.podSelector`)
  if (!namespaceSelector.isComplete || !podSelector.isComplete) return undefined
  return { namespaceSelector: namespaceSelector.selector, podSelector: podSelector.selector }
}

function readPort(reader: LenientReader, raw: unknown, field: string): PolicyPort | undefined {
  const read = reader.read<Readonly<Record<string, unknown>> | undefined>(protocolShape, raw, field, undefined)
  const [key = '', value] = Object.entries(read ?? {})[0] ?? []
  const protocol = protocols[key]
  if (read === undefined) return undefined
  if (protocol === undefined) {
    const name = reader.read<string | undefined>(portName, value, `${field}.${key}`, undefined)
    return name === undefined ? undefined : { kind: 'named', name }
  }
  const wire = reader.read<z.infer<typeof withPort> | undefined>(withPort, value, `${field}.${key}`, undefined)
  if (wire === undefined) return undefined
  const portField = `${field}.${key}.destinationPort`
  const { number, range: ends } = wire.destinationPort
  if (ends === undefined) {
    const one = reader.read<number | undefined>(portNumber, number, `${portField}.number`, undefined)
    return one === undefined ? undefined : portRange(protocol, one, one)
  }
  const both = reader.read<z.infer<typeof range> | undefined>(range, ends, `${portField}.range`, undefined)
  if (both === undefined) return undefined
  if (both.start <= both.end) return portRange(protocol, both.start, both.end)
  reader.report(`${portField}.range`, `must start before its end (got ${both.start} to ${both.end})`)
  return undefined
}
