import { isDeepStrictEqual } from 'node:util'
import type { Ipv4 } from '../../base/ip.ts'
import { err, ok, type Result } from '../../base/result.ts'
import { formatFieldErrors } from '../../base/schema.ts'
import type { Vnic } from '../../base/vnic.ts'
import type { NativePodNetwork } from '../../kube/native-pod-network.ts'
import type { AddressRelease, NpnVnic } from '../../kube/native-pod-network-status.ts'
import { checkVnics } from '../vnics-file.ts'

/** What the node's NativePodNetwork says, as far as the agent acts on it. */
export interface NetworkView {
  /** Of the NativePodNetwork. */
  readonly name: string
  /** The secondary VNICs. */
  readonly vnics: readonly NpnVnic[]
  /** Addresses on their way back to the subnet: for no pod any more, although `vnics` has them. */
  readonly releases: readonly AddressRelease[]
}

export type NoView =
  /** No controller has got as far as VNICs yet: an empty list means nothing. */
  { readonly kind: 'unpublished' } | { readonly kind: 'malformed'; readonly problem: string }

export function viewNetwork({ metadata, status }: NativePodNetwork): Result<NetworkView, NoView> {
  if (!status.ok) return err({ kind: 'malformed', problem: formatFieldErrors(status.error) })
  const { state, vnics, elastic } = status.value
  // A resource that was deleted and made again begins empty, under running pods: only a controller that has finished
  // may say that there are no VNICs.
  if (vnics.length === 0 && state !== 'SUCCESS') return err({ kind: 'unpublished' })
  return ok({ name: metadata.name, vnics, releases: elastic?.releases ?? [] })
}

export function isSameView(a: NetworkView, b: NetworkView): boolean {
  return isDeepStrictEqual(a, b)
}

export function releasedAddresses(view: NetworkView | undefined): readonly Ipv4[] {
  return (view?.releases ?? []).map(({ address }) => address)
}

export interface CheckedVnics {
  /** The primary one first. */
  readonly vnics: readonly Vnic[]
  /** What was left out, and why. */
  readonly problems: readonly string[]
}

/**
 * The node's VNICs: its own, and those of the view that make sense next to it and to each other. A VNIC that makes none
 * is left out, and so is a single address: the others' pods are not to suffer.
 */
export function checkedVnics(view: NetworkView, primary: Vnic | undefined): CheckedVnics {
  const accepted: Vnic[] = primary === undefined ? [] : [primary]
  const problems: string[] = []
  view.vnics.forEach((published, position) => {
    const vnic = vnicOf(published)
    // What is accepted already contradicts nothing: every error is about the newcomer.
    const errors = checkVnics([...accepted, vnic])
    const at = `status.vnics[${position}]`
    problems.push(...errors.map(({ field, problem }) => `${at}${field.replace(/^vnics\[\d+\]/, '')}: ${problem}`))
    const bad = errors.map(({ field }) => /\.addresses\[(\d+)\]$/.exec(field)?.[1])
    if (bad.includes(undefined)) return
    const positions = new Set(bad.map(Number))
    accepted.push({ ...vnic, addresses: vnic.addresses.filter((_, index) => !positions.has(index)) })
  })
  return { vnics: accepted, problems }
}

function vnicOf({ vnicId, macAddress, subnetCidr, routerIp, hostAddress, addresses }: NpnVnic): Vnic {
  return {
    id: vnicId,
    mac: macAddress,
    isPrimary: false,
    subnetCidr,
    routerIp,
    ...(hostAddress !== undefined && { primaryAddress: hostAddress }),
    addresses,
  }
}
