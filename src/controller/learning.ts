import { ipv4ToNumber } from '../base/ip.ts'
import type { PrivateIp, VnicAttachment } from '../oci/core-services.ts'
import type { NodeObservation, ObservedVnic } from './observation.ts'

// What an observation becomes by our own doing, without another look.

export function withAttachment(known: NodeObservation, attachment: VnicAttachment): NodeObservation {
  const attachments = [...known.attachments.filter(({ id }) => id !== attachment.id), attachment]
  return { ...known, attachments, attachmentIds: [...new Set([...known.attachmentIds, attachment.id])] }
}

export function withObject(known: NodeObservation, vnicId: string, object: PrivateIp): NodeObservation {
  return replaceVnic(known, vnicId, (one) => ({
    ...one,
    objects: [...one.objects.filter(({ id }) => id !== object.id), object].toSorted(byAddress),
  }))
}

export function withoutObject(known: NodeObservation, object: PrivateIp): NodeObservation {
  const vnics = known.vnics.map((one) => ({ ...one, objects: one.objects.filter(({ id }) => id !== object.id) }))
  return { ...known, vnics }
}

export function replaceVnic(
  known: NodeObservation,
  vnicId: string,
  change: (vnic: ObservedVnic) => ObservedVnic,
): NodeObservation {
  return { ...known, vnics: known.vnics.map((one) => (one.vnic.id === vnicId ? change(one) : one)) }
}

function byAddress(a: PrivateIp, b: PrivateIp): number {
  return ipv4ToNumber(a.cidr.address) - ipv4ToNumber(b.cidr.address)
}
