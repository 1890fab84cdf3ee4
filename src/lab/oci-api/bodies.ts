import * as z from 'zod'
import { parseIpv4 } from '../../base/ip.ts'
import { ok, type Result } from '../../base/result.ts'
import { formatFieldErrors, parseWith, viaParser } from '../../base/schema.ts'
import { type ApiError, refuse } from './api-error.ts'
import type { CreateDetails, UpdateDetails } from './private-ips.ts'
import type { AttachDetails } from './vnic-attachments.ts'

// Bodies of requests. Fields the emulator does not know are ignored, as a newer SDK may send some.

const address = z.string().transform(viaParser(parseIpv4))
const tags = z.record(z.string(), z.string()).optional()
/** "From 18 to 30" (reference/oci.md section 2). */
const prefixLength = z.int().min(18).max(30)

const attachSchema: z.ZodType<AttachDetails> = z
  .object({
    instanceId: z.string(),
    displayName: z.string().optional(),
    nicIndex: z.int().min(0).optional(),
    createVnicDetails: z.object({
      subnetId: z.string(),
      displayName: z.string().optional(),
      nsgIds: z.array(z.string()).optional(),
      skipSourceDestCheck: z.boolean().optional(),
      privateIp: address.optional(),
      freeformTags: tags,
    }),
  })
  .transform(({ instanceId, displayName = '', nicIndex = 0, createVnicDetails: vnic }) => ({
    instanceId,
    displayName,
    nicIndex,
    vnic: {
      subnetId: vnic.subnetId,
      displayName: vnic.displayName ?? '',
      nsgIds: vnic.nsgIds ?? [],
      skipSourceDestCheck: vnic.skipSourceDestCheck ?? false,
      ...(vnic.privateIp !== undefined && { address: vnic.privateIp }),
      tags: vnic.freeformTags ?? {},
    },
  }))

const createPrivateIpSchema: z.ZodType<CreateDetails> = z
  .object({
    vnicId: z.string(),
    ipAddress: address.optional(),
    cidrPrefixLength: prefixLength.optional(),
    displayName: z.string().optional(),
    hostnameLabel: z.string().optional(),
    freeformTags: tags,
  })
  .transform(({ vnicId, ipAddress, cidrPrefixLength, displayName, hostnameLabel, freeformTags }) => ({
    vnicId,
    ...(ipAddress !== undefined && { address: ipAddress }),
    ...(cidrPrefixLength !== undefined && { cidrPrefixLength }),
    displayName: displayName ?? '',
    ...(hostnameLabel !== undefined && { hostnameLabel }),
    tags: freeformTags ?? {},
  }))

const updatePrivateIpSchema: z.ZodType<UpdateDetails> = z
  .object({
    vnicId: z.string().optional(),
    displayName: z.string().optional(),
    hostnameLabel: z.string().optional(),
    freeformTags: tags,
  })
  .transform(({ vnicId, displayName, hostnameLabel, freeformTags }) => ({
    ...(vnicId !== undefined && { vnicId }),
    ...(displayName !== undefined && { displayName }),
    ...(hostnameLabel !== undefined && { hostnameLabel }),
    ...(freeformTags !== undefined && { tags: freeformTags }),
  }))

export interface UpdateVnicDetails {
  readonly nsgIds?: readonly string[] | undefined
  readonly skipSourceDestCheck?: boolean | undefined
  readonly displayName?: string | undefined
  readonly freeformTags?: Readonly<Record<string, string>> | undefined
}

const updateVnicSchema: z.ZodType<UpdateVnicDetails> = z.object({
  nsgIds: z.array(z.string()).optional(),
  skipSourceDestCheck: z.boolean().optional(),
  displayName: z.string().optional(),
  freeformTags: tags,
})

export const parseAttach = parserOf(attachSchema)
export const parseCreatePrivateIp = parserOf(createPrivateIpSchema)
export const parseUpdatePrivateIp = parserOf(updatePrivateIpSchema)
export const parseUpdateVnic = parserOf(updateVnicSchema)

function parserOf<T>(schema: z.ZodType<T>): (body: Buffer) => Result<T, ApiError> {
  return (body) => {
    let raw: unknown
    try {
      raw = JSON.parse(body.length === 0 ? '{}' : body.toString())
    } catch (error) {
      return refuse('CannotParseRequest', `not JSON: ${String(error)}`)
    }
    const parsed = parseWith(schema, raw)
    if (parsed.ok) return ok(parsed.value)
    const isMissing = parsed.error.some(({ problem }) => problem.startsWith('is required'))
    return refuse(isMissing ? 'MissingParameter' : 'InvalidParameter', formatFieldErrors(parsed.error))
  }
}
