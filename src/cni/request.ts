import type { AttachmentKey, PodIdentity } from '../base/attachment.ts'
import type { Ipv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { parseArgs, parsePod, splitArgs } from './args.ts'
import { type CniError, cniError } from './errors.ts'
import type { Invocation } from './invocation.ts'
import {
  type JsonObject,
  type NetConf,
  parseConfiguration,
  parseGcConf,
  parseNetConf,
  parseNetworkName,
  parsePrevResult,
  parseVersion,
  type ValidAttachment,
} from './netconf.ts'
import { type Command, commandProblem, optionalNetns, parseCommand, parseVariables } from './parameters.ts'
import { parseRequestedIp } from './requested-ip.ts'
import type { CniResult } from './result.ts'
import { newestVersion, type SpecVersion } from './versions.ts'

export interface AddRequest {
  readonly command: 'ADD'
  readonly version: SpecVersion
  readonly key: AttachmentKey
  /** Absolute path of the pod's network namespace. */
  readonly netns: string
  readonly pod?: PodIdentity
  readonly requestedIp?: Ipv4
  readonly config: NetConf
  /** What the plugins before us in the chain have made. */
  readonly prevResult?: CniResult
}

/** Only what deleting needs: a DEL that fails is repeated for ever, and the pod with it. */
export interface DelRequest {
  readonly command: 'DEL'
  readonly version: SpecVersion
  readonly key: AttachmentKey
  /** Absent when the namespace is gone already. */
  readonly netns?: string
  readonly pod?: PodIdentity
}

export interface CheckRequest {
  readonly command: 'CHECK'
  readonly version: SpecVersion
  readonly key: AttachmentKey
  readonly netns: string
  readonly pod?: PodIdentity
  readonly config: NetConf
  /** The final result of the whole chain: our interfaces are found in it by name and sandbox, never by index. */
  readonly prevResult: CniResult
}

export interface GcRequest {
  readonly command: 'GC'
  readonly version: SpecVersion
  readonly network: string
  /** undefined: the runtime did not say, so nothing may be deleted on its account. */
  readonly validAttachments: readonly ValidAttachment[] | undefined
  /** Another runtime shares this configuration: nothing may be deleted. */
  readonly disableGC: boolean
}

export interface StatusRequest {
  readonly command: 'STATUS'
  readonly version: SpecVersion
  readonly network: string
}

export interface VersionRequest {
  readonly command: 'VERSION'
  /** The configuration's cniVersion, known to us or not; the newest we speak if it has none. */
  readonly version: string
}

export type CniRequest = AddRequest | DelRequest | CheckRequest | GcRequest | StatusRequest | VersionRequest

type Parsers = {
  readonly [C in Command]: (invocation: Invocation) => Result<Extract<CniRequest, { command: C }>, CniError>
}

const parsers: Parsers = {
  ADD: parseAdd,
  DEL: parseDel,
  CHECK: parseCheck,
  GC: parseGc,
  STATUS: parseStatus,
  VERSION: (invocation) => ok({ command: 'VERSION', version: askedVersion(invocation) ?? newestVersion }),
}

export function parseRequest(invocation: Invocation): Result<CniRequest, CniError> {
  const command = parseCommand(invocation.env)
  return command.ok ? parsers[command.value](invocation) : command
}

/** The version to answer in when the request itself could not be parsed. */
export function answerVersion(invocation: Invocation): SpecVersion {
  const config = parseConfiguration(invocation.stdin)
  const version = config.ok ? parseVersion(config.value) : config
  return version.ok ? version.value : newestVersion
}

function parseAdd(invocation: Invocation): Result<AddRequest, CniError> {
  const attachment = parseAttachment('ADD', invocation)
  if (!attachment.ok) return attachment
  const { args, raw, fields } = attachment.value
  const requestedIp = parseRequestedIp(args, raw)
  if (!requestedIp.ok) return requestedIp
  const prevResult = parsePrevResult(raw, fields.version)
  if (!prevResult.ok) return prevResult
  return ok({
    command: 'ADD',
    ...fields,
    ...(requestedIp.value === undefined ? {} : { requestedIp: requestedIp.value }),
    ...(prevResult.value === undefined ? {} : { prevResult: prevResult.value }),
  })
}

/** CNI_ARGS, prevResult and our own fields cannot fail a DEL: an ADD that they failed is followed by a DEL with the same. */
function parseDel(invocation: Invocation): Result<DelRequest, CniError> {
  const variables = parseVariables('DEL', invocation.env)
  if (!variables.ok) return variables
  const network = parseNetwork('DEL', invocation)
  if (!network.ok) return network
  const { name, version } = network.value
  const netns = optionalNetns(invocation.env)
  const pod = parsePod(splitArgs(invocation.env.get('CNI_ARGS') ?? '').values)
  return ok({
    command: 'DEL',
    version,
    key: attachmentKey(name, variables.value),
    ...(netns === undefined ? {} : { netns }),
    ...(pod.ok && pod.value !== undefined ? { pod: pod.value } : {}),
  })
}

function parseCheck(invocation: Invocation): Result<CheckRequest, CniError> {
  const attachment = parseAttachment('CHECK', invocation)
  if (!attachment.ok) return attachment
  const { raw, fields } = attachment.value
  const prevResult = parsePrevResult(raw, fields.version)
  if (!prevResult.ok) return prevResult
  if (prevResult.value !== undefined) return ok({ command: 'CHECK', ...fields, prevResult: prevResult.value })
  return err(cniError('INVALID_CONFIG', 'prevResult: is required by CHECK, with the result of the ADD'))
}

function parseGc(invocation: Invocation): Result<GcRequest, CniError> {
  const network = parseNetwork('GC', invocation)
  if (!network.ok) return network
  const { name, version, raw } = network.value
  const config = parseGcConf(raw)
  return config.ok ? ok({ command: 'GC', version, network: name, ...config.value }) : config
}

/** A configuration that no ADD could be served with is not ready, so all of it is looked at. */
function parseStatus(invocation: Invocation): Result<StatusRequest, CniError> {
  const network = parseNetwork('STATUS', invocation)
  if (!network.ok) return network
  const { name, version, raw } = network.value
  const config = parseNetConf(raw)
  return config.ok ? ok({ command: 'STATUS', version, network: name }) : config
}

/** What ADD and CHECK have in common. */
function parseAttachment(command: 'ADD' | 'CHECK', invocation: Invocation): Result<Attachment, CniError> {
  const variables = parseVariables(command, invocation.env)
  if (!variables.ok) return variables
  const network = parseNetwork(command, invocation)
  if (!network.ok) return network
  const { name, version, raw } = network.value
  const args = parseArgs(invocation.env.get('CNI_ARGS') ?? '')
  if (!args.ok) return args
  const pod = parsePod(args.value)
  if (!pod.ok) return pod
  const config = parseNetConf(raw)
  if (!config.ok) return config
  const fields = {
    version,
    key: attachmentKey(name, variables.value),
    netns: variables.value.CNI_NETNS,
    ...(pod.value === undefined ? {} : { pod: pod.value }),
    config: config.value,
  }
  return ok({ args: args.value, raw, fields })
}

interface Attachment {
  readonly args: ReadonlyMap<string, string>
  readonly raw: JsonObject
  readonly fields: Pick<AddRequest, 'version' | 'key' | 'netns' | 'pod' | 'config'>
}

function parseNetwork(command: Command, { stdin }: Invocation): Result<Network, CniError> {
  const raw = parseConfiguration(stdin)
  if (!raw.ok) return raw
  const version = parseVersion(raw.value)
  if (!version.ok) return version
  const problem = commandProblem(command, version.value)
  if (problem !== undefined) return err(cniError('INCOMPATIBLE_VERSION', problem))
  const name = parseNetworkName(raw.value)
  return name.ok ? ok({ name: name.value, version: version.value, raw: raw.value }) : name
}

interface Network {
  readonly name: string
  readonly version: SpecVersion
  readonly raw: JsonObject
}

function attachmentKey(
  network: string,
  variables: Readonly<Record<'CNI_CONTAINERID' | 'CNI_IFNAME', string>>,
): AttachmentKey {
  return { network, containerId: variables.CNI_CONTAINERID, ifname: variables.CNI_IFNAME }
}

function askedVersion({ stdin }: Invocation): string | undefined {
  const config = parseConfiguration(stdin)
  const version = config.ok ? config.value['cniVersion'] : undefined
  return typeof version === 'string' ? version : undefined
}
