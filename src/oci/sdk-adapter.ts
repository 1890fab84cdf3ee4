import { type AuthenticationDetailsProvider, CircuitBreaker, isRegionProvider, type Region } from 'oci-common'
import { ComputeClient, VirtualNetworkClient, type models } from 'oci-core'
import * as z from 'zod'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith } from '../base/schema.ts'
import type { AttachVnic, CoreServices, CreatePrivateIp, OciResult, VnicChange } from './core-services.ts'
import type { Operation } from './oci-error.ts'
import { authenticate, type OciAuthentication } from './sdk-auth.ts'
import { MalformedAnswer, SdkCaller } from './sdk-call.ts'
import {
  cidrUtilisationSchema,
  instanceSchema,
  nsgSchema,
  nsgVnicSchema,
  privateIpSchema,
  shapeSchema,
  subnetSchema,
  vcnSchema,
  vnicAttachmentSchema,
  vnicSchema,
} from './sdk-models.ts'

export interface SdkOptions {
  readonly authentication: OciAuthentication
  /** `http://127.0.0.1:4567` for the emulator; the region's own when absent. */
  readonly endpoint?: string
  /** Such as eu-frankfurt-1; the authentication's own when absent. */
  readonly region?: string
  /** How long one request may take. 30 s when absent. */
  readonly attemptTimeoutMs?: number
  /** Waited for before the second page of a list and each one after: they cost quota too. */
  readonly admitPage?: (operation: Operation, signal: AbortSignal) => Promise<void>
}

/** The largest page the API gives; it answers smaller ones as it likes. */
const pageLimit = 1000

/** Oracle's Core Services through Oracle's SDK, without its retries and its circuit breaker. */
export async function connectCoreServices(options: SdkOptions): Promise<Result<CoreServices, string>> {
  const authenticated = await authenticate(options.authentication)
  if (!authenticated.ok) return authenticated
  const provider = authenticated.value
  const region = options.region ?? regionIdOf(provider)
  if (region === undefined && options.endpoint === undefined) {
    return err('the region is not known: give one, such as eu-frankfurt-1, or an endpoint')
  }
  const caller = new SdkCaller(provider, options.attemptTimeoutMs ?? 30_000)
  const { httpClient, retryConfiguration } = caller
  // An open circuit breaker would fail every node's calls because of some: the limiter and back-off are ours.
  const configuration = {
    retryConfiguration,
    circuitBreaker: new CircuitBreaker({ disableClientCircuitBreaker: true }),
  }
  const network = new VirtualNetworkClient({ httpClient }, configuration)
  const compute = new ComputeClient({ httpClient }, configuration)
  for (const client of [network, compute]) {
    if (region !== undefined) client.regionId = region
    if (options.endpoint !== undefined) client.endpoint = options.endpoint
  }
  return ok(new SdkCoreServices(caller, network, compute, options.admitPage))
}

function regionIdOf(provider: AuthenticationDetailsProvider): string | undefined {
  if (!isRegionProvider(provider)) return undefined
  // Typed as always there; a provider made from a bare key has none.
  const typed: { getRegion(): Region | undefined } = provider
  return typed.getRegion()?.regionId
}

class SdkCoreServices implements CoreServices {
  readonly #caller: SdkCaller
  readonly #network: VirtualNetworkClient
  readonly #compute: ComputeClient
  readonly #admitPage: SdkOptions['admitPage']

  constructor(
    caller: SdkCaller,
    network: VirtualNetworkClient,
    compute: ComputeClient,
    admitPage: SdkOptions['admitPage'],
  ) {
    this.#caller = caller
    this.#network = network
    this.#compute = compute
    this.#admitPage = admitPage
  }

  getInstance: CoreServices['getInstance'] = (instanceId, signal) =>
    this.#one('GetInstance', instanceSchema, signal, async () => {
      return (await this.#compute.getInstance({ instanceId })).instance
    })

  listInstances: CoreServices['listInstances'] = (query, signal) =>
    this.#all('ListInstances', instanceSchema, signal, async (page) => {
      return this.#compute.listInstances({ ...query, ...page })
    })

  listShapes: CoreServices['listShapes'] = (query, signal) =>
    this.#all('ListShapes', shapeSchema, signal, async (page) => this.#compute.listShapes({ ...query, ...page }))

  listVnicAttachments: CoreServices['listVnicAttachments'] = (query, signal) =>
    this.#all('ListVnicAttachments', vnicAttachmentSchema, signal, async (page) => {
      return this.#compute.listVnicAttachments({ ...query, ...page })
    })

  attachVnic: CoreServices['attachVnic'] = (wish, opcRetryToken, signal) =>
    this.#one('AttachVnic', vnicAttachmentSchema, signal, async () => {
      const attachVnicDetails = attachDetails(wish)
      return (await this.#compute.attachVnic({ attachVnicDetails, opcRetryToken })).vnicAttachment
    })

  getVnicAttachment: CoreServices['getVnicAttachment'] = (vnicAttachmentId, signal) =>
    this.#one('GetVnicAttachment', vnicAttachmentSchema, signal, async () => {
      return (await this.#compute.getVnicAttachment({ vnicAttachmentId })).vnicAttachment
    })

  detachVnic: CoreServices['detachVnic'] = (vnicAttachmentId, signal) =>
    this.#caller.run('DetachVnic', signal, async () => {
      await this.#compute.detachVnic({ vnicAttachmentId })
    })

  getVnic: CoreServices['getVnic'] = (vnicId, signal) =>
    this.#caller.run('GetVnic', signal, async () => {
      const { vnic, etag } = await this.#network.getVnic({ vnicId })
      return { ...parse(vnicSchema, vnic), etag }
    })

  updateVnic: CoreServices['updateVnic'] = (vnicId, change, signal) =>
    this.#caller.run('UpdateVnic', signal, async () => {
      const request = { vnicId, updateVnicDetails: updateDetails(change) }
      const { ifMatch } = change
      const { vnic, etag } = await this.#network.updateVnic({ ...request, ...(ifMatch !== undefined && { ifMatch }) })
      return { ...parse(vnicSchema, vnic), etag }
    })

  listPrivateIps: CoreServices['listPrivateIps'] = (query, signal) =>
    this.#all('ListPrivateIps', privateIpSchema, signal, async (page) => {
      const { address, ...rest } = { address: undefined, ...query }
      return this.#network.listPrivateIps({ ...rest, ...(address !== undefined && { ipAddress: address }), ...page })
    })

  createPrivateIp: CoreServices['createPrivateIp'] = (wish, opcRetryToken, signal) =>
    this.#one('CreatePrivateIp', privateIpSchema, signal, async () => {
      const createPrivateIpDetails = privateIpDetails(wish)
      return (await this.#network.createPrivateIp({ createPrivateIpDetails, opcRetryToken })).privateIp
    })

  deletePrivateIp: CoreServices['deletePrivateIp'] = (privateIpId, signal) =>
    this.#caller.run('DeletePrivateIp', signal, async () => {
      await this.#network.deletePrivateIp({ privateIpId })
    })

  getSubnet: CoreServices['getSubnet'] = (subnetId, signal) =>
    this.#one('GetSubnet', subnetSchema, signal, async () => (await this.#network.getSubnet({ subnetId })).subnet)

  getVcn: CoreServices['getVcn'] = (vcnId, signal) =>
    this.#one('GetVcn', vcnSchema, signal, async () => (await this.#network.getVcn({ vcnId })).vcn)

  listSubnetCidrUtilisation: CoreServices['listSubnetCidrUtilisation'] = (subnetId, signal) =>
    this.#one('GetSubnetCidrUtilization', cidrUtilisationSchema, signal, async () => {
      return (await this.#network.getSubnetCidrUtilization({ subnetId })).ipInventoryCidrUtilizationCollection
    })

  getNetworkSecurityGroup: CoreServices['getNetworkSecurityGroup'] = (networkSecurityGroupId, signal) =>
    this.#one('GetNetworkSecurityGroup', nsgSchema, signal, async () => {
      return (await this.#network.getNetworkSecurityGroup({ networkSecurityGroupId })).networkSecurityGroup
    })

  listNsgVnics: CoreServices['listNsgVnics'] = (networkSecurityGroupId, signal) =>
    this.#all('ListNetworkSecurityGroupVnics', nsgVnicSchema, signal, async (page) => {
      return this.#network.listNetworkSecurityGroupVnics({ networkSecurityGroupId, ...page })
    })

  #one<T>(operation: Operation, schema: z.ZodType<T>, signal: AbortSignal, get: () => Promise<unknown>): OciResult<T> {
    return this.#caller.run(operation, signal, async () => parse(schema, await get()))
  }

  async #all<T>(
    operation: Operation,
    schema: z.ZodType<T>,
    signal: AbortSignal,
    getPage: (page: { limit: number; page?: string }) => Promise<{ readonly items: unknown; opcNextPage?: string }>,
  ): OciResult<readonly T[]> {
    const items: T[] = []
    const seen = new Set<string>()
    let page: string | undefined
    do {
      if (page !== undefined) await this.#admitPage?.(operation, signal)
      const from = page === undefined ? {} : { page }
      const answered = await this.#caller.run(operation, signal, async () => {
        const { items: unparsed, opcNextPage } = await getPage({ limit: pageLimit, ...from })
        if (seen.has(opcNextPage ?? '')) throw new MalformedAnswer(`page ${opcNextPage ?? ''} comes after itself`)
        return { parsed: parse(z.array(schema), unparsed), next: opcNextPage }
      })
      if (!answered.ok) return answered
      items.push(...answered.value.parsed)
      page = answered.value.next === '' ? undefined : answered.value.next
      if (page !== undefined) seen.add(page)
    } while (page !== undefined)
    return ok(items)
  }
}

function parse<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = parseWith(schema, answer)
  if (parsed.ok) return parsed.value
  throw new MalformedAnswer(`not what the API documents: ${formatFieldErrors(parsed.error)}`)
}

function attachDetails(wish: AttachVnic): models.AttachVnicDetails {
  const { instanceId, subnetId, nsgIds, displayName, attachmentName, skipSourceDestCheck, nicIndex, address, tags } =
    wish
  return {
    instanceId,
    displayName: attachmentName ?? displayName,
    ...(nicIndex !== undefined && { nicIndex }),
    createVnicDetails: {
      subnetId,
      displayName,
      skipSourceDestCheck,
      // A subnet's default may be to give a public address; pods' VNICs never want one.
      assignPublicIp: false,
      nsgIds: [...nsgIds],
      ...(address !== undefined && { privateIp: address }),
      freeformTags: { ...tags },
    },
  }
}

function updateDetails({ nsgIds, skipSourceDestCheck, tags }: VnicChange): models.UpdateVnicDetails {
  return {
    ...(nsgIds !== undefined && { nsgIds: [...nsgIds] }),
    ...(skipSourceDestCheck !== undefined && { skipSourceDestCheck }),
    ...(tags !== undefined && { freeformTags: { ...tags } }),
  }
}

function privateIpDetails(wish: CreatePrivateIp): models.CreatePrivateIpDetails {
  const { vnicId, address, cidrPrefixLength, displayName, tags } = wish
  return {
    vnicId,
    ...(address !== undefined && { ipAddress: address }),
    ...(cidrPrefixLength !== undefined && { cidrPrefixLength }),
    ...(displayName !== undefined && { displayName }),
    freeformTags: { ...tags },
  }
}
