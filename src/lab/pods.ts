import { randomBytes, randomUUID } from 'node:crypto'
import * as z from 'zod'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { parseWith } from '../base/schema.ts'
import { createNamedNetns, removeNamedNetns } from '../linux/netns.ts'
import { addAttachment, type Attachment, deleteAttachment, readNetworkList, type RuntimeNode } from './cni-runtime.ts'
import { type CniFailure, describeCniFailure, type Json } from './cni-plugin.ts'
import type { LabState } from './lab-state.ts'
import { claimPod, type PodRecord, readPod, removePodRecord, writePod } from './lab-store.ts'
import { netnsPath, nodePaths, podNetns } from './names.ts'
import type { PortMapping, ScenarioPod } from './scenario.ts'

export type PodFailure =
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'cni'; readonly pod: string; readonly failure: CniFailure }

const takeBackTimeoutMs = 10_000

export interface NewPod extends ScenarioPod {
  /** As Kubernetes knows it; absent: a new one. */
  readonly uid?: string
}

/** A pod: a namespace of its own that a runtime has attached to the network. */
export async function addPod(lab: LabState, pod: NewPod, signal: AbortSignal): Promise<Result<PodRecord, PodFailure>> {
  const node = runtimeNode(lab, pod.node)
  if (!node.ok) return node
  const ports = checkPorts(node.value, pod)
  if (!ports.ok) return ports
  const record: PodRecord = {
    uid: randomUUID(),
    ...pod,
    netns: podNetns(lab.name, pod.name),
    containerId: randomBytes(32).toString('hex'),
    ifname: 'eth0',
  }
  if (!claimPod(lab.name, record).ok) return refused(`lab ${lab.name} already has a pod ${JSON.stringify(pod.name)}`)
  try {
    createNamedNetns(record.netns)
    const added = await addAttachment(node.value, attachmentOf(record), signal)
    if (!added.ok) {
      forgetPod(lab, record)
      return err({ kind: 'cni', pod: pod.name, failure: added.error })
    }
    const complete = { ...record, address: addressIn(added.value) }
    writePod(lab.name, complete)
    return ok(complete)
  } catch (error) {
    // Interrupted in the middle of an ADD: the plugins must not keep what they have already given.
    await deleteAttachment(node.value, attachmentOf(record), AbortSignal.timeout(takeBackTimeoutMs))
    forgetPod(lab, record)
    throw error
  }
}

/** DEL, then the namespace. After a failed DEL the pod stays, to be deleted again, as a kubelet would. */
export async function deletePod(lab: LabState, name: string, signal: AbortSignal): Promise<Result<void, PodFailure>> {
  const pod = readPod(lab.name, name)
  if (!pod.ok) return refused(pod.error)
  const node = runtimeNode(lab, pod.value.node)
  if (!node.ok) return node
  const deleted = await deleteAttachment(node.value, attachmentOf(pod.value), signal)
  if (!deleted.ok) return err({ kind: 'cni', pod: name, failure: deleted.error })
  forgetPod(lab, pod.value)
  return ok(undefined)
}

export function runtimeNode(lab: LabState, name: string): Result<RuntimeNode, PodFailure> {
  const node = lab.nodes.find((one) => one.name === name)
  if (node !== undefined) return ok({ netns: node.netns, paths: nodePaths(lab.name, name) })
  const names = lab.nodes.map((one) => one.name).join(', ')
  return refused(`lab ${lab.name} has no node ${JSON.stringify(name)}; its nodes are ${names}`)
}

export function attachmentOf(pod: PodRecord): Attachment {
  const args = {
    IgnoreUnknown: '1',
    K8S_POD_NAMESPACE: pod.namespace,
    K8S_POD_NAME: pod.name,
    K8S_POD_INFRA_CONTAINER_ID: pod.containerId,
    K8S_POD_UID: pod.uid,
  }
  return {
    containerId: pod.containerId,
    netns: netnsPath(pod.netns),
    ifname: pod.ifname,
    args: Object.entries(args)
      .map(([key, value]) => `${key}=${value}`)
      .join(';'),
    capabilityArgs: pod.ports.length === 0 ? {} : { portMappings: pod.ports satisfies readonly PortMapping[] },
  }
}

export function describePodFailure(failure: PodFailure): string {
  return failure.kind === 'refused' ? failure.problem : `pod ${failure.pod}: ${describeCniFailure(failure.failure)}`
}

// A plugin that does not declare the capability would be handed nothing, and the pod would be without its ports.
function checkPorts(node: RuntimeNode, pod: ScenarioPod): Result<void, PodFailure> {
  if (pod.ports.length === 0) return ok(undefined)
  const list = readNetworkList(node.paths.cniConf)
  const capable = list.ok && list.value.plugins.some((plugin) => plugin.capabilities?.['portMappings'] === true)
  if (capable) return ok(undefined)
  return refused(`pod ${pod.name} wants ports, but no plugin on ${pod.node} declares the capability portMappings`)
}

const resultSchema = z.object({ ips: z.array(z.object({ address: z.string() })).min(1) })

function addressIn(result: Json): Ipv4 | undefined {
  const parsed = parseWith(resultSchema, result)
  if (!parsed.ok) return undefined
  const address = parseIpv4(parsed.value.ips[0]?.address.split('/')[0] ?? '')
  return address.ok ? address.value : undefined
}

/** Without a DEL: for a pod whose node has gone, and everything on it. */
export function forgetPod(lab: LabState, pod: PodRecord): void {
  removeNamedNetns(pod.netns)
  removePodRecord(lab.name, pod.name)
}

function refused(problem: string): Result<never, PodFailure> {
  return err({ kind: 'refused', problem })
}
