// Oracle's own SDK, as it is published, as the emulator's client.
import { SimpleAuthenticationDetailsProvider } from 'oci-common'
import { ComputeClient, type models, VirtualNetworkClient } from 'oci-core'
import { serve, type TestCloud, testCloud, type TestCloudOptions, testKey } from './cloud.fixture.ts'
import type { OciApiOptions, OciApiServer } from './server.ts'

export interface Setup extends TestCloud {
  readonly server: OciApiServer
  readonly network: VirtualNetworkClient
  readonly compute: ComputeClient
}

export async function setUp(options: TestCloudOptions = {}, served: Partial<OciApiOptions> = {}): Promise<Setup> {
  const cloud = testCloud(options)
  const server = await serve(cloud, served)
  const { tenancyId, userId, fingerprint, privateKey } = testKey
  const authenticationDetailsProvider = new SimpleAuthenticationDetailsProvider(
    tenancyId,
    userId,
    fingerprint,
    privateKey,
    null,
  )
  const network = new VirtualNetworkClient({ authenticationDetailsProvider })
  const compute = new ComputeClient({ authenticationDetailsProvider })
  for (const client of [network, compute]) client.endpoint = server.endpoint
  return { ...cloud, server, network, compute }
}

export const attachDetails = ({ instance, subnet }: TestCloud, vnic = {}): models.AttachVnicDetails => ({
  instanceId: instance.id,
  createVnicDetails: { subnetId: subnet.id, skipSourceDestCheck: true, ...vnic },
})

export async function attach(setup: Setup, vnic = {}): Promise<models.VnicAttachment> {
  const { vnicAttachment } = await setup.compute.attachVnic({ attachVnicDetails: attachDetails(setup, vnic) })
  await setup.scheduler.advance(3000)
  return (await setup.compute.getVnicAttachment({ vnicAttachmentId: vnicAttachment.id })).vnicAttachment
}

export const create = ({ network }: Setup, details: models.CreatePrivateIpDetails, opcRetryToken?: string) =>
  network.createPrivateIp({ createPrivateIpDetails: details, ...(opcRetryToken !== undefined && { opcRetryToken }) })
