import { createHash } from 'node:crypto'
import { err, ok, type Result } from '../base/result.ts'
import { netnsDirectory } from '../linux/netns.ts'

// Every name a lab puts on the machine. A lab's name has no hyphen, so that `vl-<lab>-` is the beginning of its own
// namespaces and of no other lab's.

export const labsDirectory = '/run/vcn-lab'
const netnsPrefix = 'vl-'
/** IFNAMSIZ less the terminating zero (linux/if.h). */
const longestIfname = 15

const labName = /^[a-z0-9]{1,16}$/
const nodeName = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/
/** DNS-1123 subdomain, as Kubernetes has it for pods. */
const podName = /^(?=.{1,200}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/

export function parseLabName(text: string): Result<string, string> {
  if (labName.test(text)) return ok(text)
  return err(`${JSON.stringify(text)} is not a name for a lab: 1 to 16 lower-case letters and digits, no hyphen`)
}

export function parseNodeName(text: string): Result<string, string> {
  if (!nodeName.test(text)) {
    return err(`${JSON.stringify(text)} is not a node's name: up to 32 lower-case letters, digits and inner hyphens`)
  }
  if (['vcn', 'internet'].includes(text) || text.startsWith('p-')) {
    return err(`${JSON.stringify(text)} is not a node's name: vcn, internet and p-… name other namespaces of the lab`)
  }
  return ok(text)
}

export function parsePodName(text: string): Result<string, string> {
  if (podName.test(text)) return ok(text)
  return err(`${JSON.stringify(text)} is not a pod's name: lower-case letters, digits, inner hyphens and dots`)
}

export function vcnNetns(lab: string): string {
  return `${netnsPrefix}${lab}-vcn`
}

export function internetNetns(lab: string): string {
  return `${netnsPrefix}${lab}-internet`
}

export function nodeNetns(lab: string, node: string): string {
  return `${netnsPrefix}${lab}-${node}`
}

export function podNetns(lab: string, pod: string): string {
  return `${netnsPrefix}${lab}-p-${pod}`
}

/** The lab a namespace belongs to, if any. */
export function labOfNetns(netns: string): string | undefined {
  return /^vl-([a-z0-9]{1,16})-./.exec(netns)?.[1]
}

export function netnsPath(netns: string): string {
  return `${netnsDirectory}/${netns}`
}

/** The VCN's end of a VNIC, such as `worker-1.ens5`; a long node name is cut and told apart by a hash. */
export function portName(node: string, vnic: string): string {
  const plain = `${node}.${vnic}`
  if (plain.length <= longestIfname) return plain
  const hash = createHash('sha1').update(plain).digest('hex').slice(0, 4)
  const room = longestIfname - hash.length - 1 - vnic.length
  return room < 1 ? `${hash}.${vnic}`.slice(0, longestIfname) : `${node.slice(0, room)}${hash}.${vnic}`
}

export function labDirectory(lab: string): string {
  return `${labsDirectory}/${lab}`
}

/** Paths of one node, all below the lab's directory. */
export interface NodePaths {
  readonly directory: string
  readonly state: string
  readonly socket: string
  readonly cniBin: string
  readonly cniConf: string
  readonly agentConfig: string
  readonly vnicsFile: string
  readonly log: string
  readonly pidFile: string
  /** What the node runner remembers of each attachment, as libcni does under /var/lib/cni. */
  readonly results: string
}

export function nodePaths(lab: string, node: string): NodePaths {
  const directory = `${labDirectory(lab)}/nodes/${node}`
  return {
    directory,
    state: `${directory}/state`,
    socket: `${directory}/agent.sock`,
    cniBin: `${directory}/bin`,
    cniConf: `${directory}/net.d`,
    agentConfig: `${directory}/agent.yaml`,
    vnicsFile: `${directory}/vnics.yaml`,
    log: `${directory}/agent.log`,
    pidFile: `${directory}/agent.pid`,
    results: `${directory}/results`,
  }
}
