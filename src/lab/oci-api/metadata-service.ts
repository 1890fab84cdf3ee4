import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { cidrContains, formatCidr } from '../../base/cidr.ts'
import type { Ipv4 } from '../../base/ip.ts'
import type { InstanceOcid } from '../../oci/ocid.ts'
import type { Fd } from '../../linux/fd.ts'
import { listenIn } from '../netns-socket.ts'
import type { CloudModel } from './cloud-model.ts'
import type { VnicRecord } from './cloud-records.ts'
import { type Json, wireInstance } from './wire.ts'

export interface MetadataServiceOptions {
  readonly model: CloudModel
  readonly instanceId: InstanceOcid
  /** Where it listens; the process's own namespace when absent. The address must be there already. */
  readonly netns?: Fd
  /** 169.254.169.254 in a node. */
  readonly address: Ipv4
  /** 80 in a node. */
  readonly port: number
}

const forwardedHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host']

/** The instance metadata service of one instance, version 2 (reference/oci.md section 4). */
export class MetadataService implements AsyncDisposable {
  readonly #app: FastifyInstance
  readonly #options: MetadataServiceOptions

  private constructor(options: MetadataServiceOptions) {
    this.#options = options
    this.#app = fastify({ forceCloseConnections: true })
    this.#app.addHook('onRequest', (request, reply, done) => {
      const refusal = this.#refusal(request)
      if (refusal === undefined) done()
      else refuse(reply, ...refusal)
    })
    const { model, instanceId } = options
    this.#app.get('/opc/v2/instance/', () => instanceJson(model, instanceId))
    this.#app.get('/opc/v2/vnics/', () => vnicsJson(model, instanceId))
    this.#app.setNotFoundHandler((request, reply) => refuse(reply, 404, `nothing at ${request.url}`))
  }

  static async start(options: MetadataServiceOptions): Promise<MetadataService> {
    const service = new MetadataService(options)
    await service.#app.ready()
    await listenIn(service.#app.server, options.netns, options.address, options.port)
    return service
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close()
  }

  // The statuses are unverified: Oracle's documentation only says that such requests are refused.
  #refusal({
    headers,
    socket: { remoteAddress },
  }: FastifyRequest): readonly [status: number, reason: string] | undefined {
    const forwarded = forwardedHeaders.find((name) => headers[name] !== undefined)
    if (forwarded !== undefined) return [403, `a request with ${forwarded} was not made by the instance itself`]
    if (headers.authorization !== 'Bearer Oracle') return [401, 'the header Authorization: Bearer Oracle is required']
    const primary = vnicsOf(this.#options.model, this.#options.instanceId).find(({ isPrimary }) => isPrimary)
    // Whoever in the node itself asks a service of that node is seen with the service's address (ip(7): the source
    // of a connection to a local address is that address).
    if (remoteAddress === primary?.primaryAddress || remoteAddress === this.#options.address) return undefined
    return [403, `${remoteAddress ?? 'nobody'} is not the primary VNIC's address`]
  }
}

function refuse(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.code(status).send({ code: status === 404 ? 'NotFound' : 'NotAuthorized', message })
}

function instanceJson(model: CloudModel, id: InstanceOcid): Json {
  return { ...wireInstance(model, model.instances.require(id)), canonicalRegionName: model.settings.region }
}

function vnicsJson(model: CloudModel, id: InstanceOcid): readonly Json[] {
  return vnicsOf(model, id).map((vnic) => {
    const { cidrs, routerIp } = model.subnets.require(vnic.subnetId)
    const cidr = cidrs.find((one) => cidrContains(one, vnic.primaryAddress))
    return {
      vnicId: vnic.id,
      privateIp: vnic.primaryAddress,
      vlanTag: vnic.vlanTag,
      macAddr: vnic.mac.toUpperCase(),
      virtualRouterIp: routerIp,
      subnetCidrBlock: cidr === undefined ? '' : formatCidr(cidr),
      nicIndex: vnic.nicIndex,
    }
  })
}

/** The primary one first; those that are really there. */
function vnicsOf(model: CloudModel, id: InstanceOcid): readonly VnicRecord[] {
  const there = model.vnics.all().filter((vnic) => vnic.instanceId === id && vnic.lifecycleState === 'AVAILABLE')
  return there.toSorted((a, b) => Number(b.isPrimary) - Number(a.isPrimary))
}
