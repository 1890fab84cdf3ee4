import { type Ipv4Cidr, cidrContains, cidrsOverlap, formatCidr, parseIpv4Cidr } from '../base/cidr.ts'
import { unwrap } from '../base/result.ts'
import type { FieldError } from '../base/schema.ts'
import { usableAddresses } from './address-picker.ts'
import type { Scenario } from './scenario.ts'

/** The outside world's end of the lab: documentation blocks of RFC 5737, and link-local. */
const reservedBlocks = ['198.51.100.0/24', '203.0.113.0/24', '169.254.0.0/16'].map((text) =>
  unwrap(parseIpv4Cidr(text)),
)
// OCI's limits for a VCN and for a subnet.
const shortestPrefix = 16
const longestPrefix = 30

/** What the fields say together: references, overlaps, capacity. Empty when the lab can be built. */
export function checkScenario(scenario: Scenario): readonly FieldError[] {
  return [
    ...checkBlocks(scenario),
    ...duplicates('subnets', scenario.subnets),
    ...duplicates('nodes', scenario.nodes),
    ...duplicates('pods', scenario.pods),
    ...scenario.nodes.flatMap((_, index) => checkNode(scenario, index)),
    ...checkPods(scenario),
    ...checkCapacity(scenario),
    ...checkCluster(scenario),
  ]
}

function checkBlocks({ vcn, subnets }: Scenario): readonly FieldError[] {
  const problems: FieldError[] = [...checkSize('vcn.cidr', vcn.cidr)]
  for (const block of reservedBlocks) {
    if (!cidrsOverlap(vcn.cidr, block)) continue
    const problem = `${formatCidr(vcn.cidr)} overlaps ${formatCidr(block)}, which the lab keeps for the outside world`
    problems.push({ field: 'vcn.cidr', problem })
  }
  subnets.forEach(({ cidr }, index) => {
    const field = `subnets[${index}].cidr`
    problems.push(...checkSize(field, cidr))
    if (!cidrContains(vcn.cidr, cidr.address) || cidr.prefixLength < vcn.cidr.prefixLength) {
      problems.push({ field, problem: `${formatCidr(cidr)} is not within the VCN's ${formatCidr(vcn.cidr)}` })
    }
    const other = subnets.slice(0, index).find((earlier) => cidrsOverlap(earlier.cidr, cidr))
    if (other === undefined) return
    problems.push({ field, problem: `${formatCidr(cidr)} overlaps ${formatCidr(other.cidr)} of subnet ${other.name}` })
  })
  return problems
}

function checkSize(field: string, cidr: Ipv4Cidr): readonly FieldError[] {
  if (cidr.prefixLength >= shortestPrefix && cidr.prefixLength <= longestPrefix) return []
  return [
    { field, problem: `${formatCidr(cidr)} is not between /${shortestPrefix} and /${longestPrefix} as OCI wants` },
  ]
}

function checkNode({ nodes, subnets }: Scenario, nodeIndex: number): readonly FieldError[] {
  const vnics = nodes[nodeIndex]?.vnics ?? []
  const field = `nodes[${nodeIndex}].vnics`
  const primaries = vnics.filter(({ primary }) => primary).length
  return [
    ...(primaries === 1 ? [] : [{ field, problem: `has ${primaries} primary VNICs; an instance has exactly one` }]),
    ...duplicates(field, vnics),
    ...vnics.flatMap(({ subnet }, index) =>
      subnets.some(({ name }) => name === subnet)
        ? []
        : [{ field: `${field}[${index}].subnet`, problem: unknown('subnet', subnet, subnets) }],
    ),
  ]
}

function checkPods({ pods, nodes }: Scenario): readonly FieldError[] {
  return pods.flatMap(({ node }, index) =>
    nodes.some(({ name }) => name === node)
      ? []
      : [{ field: `pods[${index}].node`, problem: unknown('node', node, nodes) }],
  )
}

function checkCapacity({ subnets, nodes }: Scenario): readonly FieldError[] {
  return subnets.flatMap(({ name, cidr }, index) => {
    const vnics = nodes.flatMap((node) => node.vnics).filter(({ subnet }) => subnet === name)
    const wanted = vnics.reduce((sum, { secondaryAddresses }) => sum + 1 + secondaryAddresses, 0)
    const usable = usableAddresses(cidr)
    if (wanted <= usable) return []
    const problem = `${formatCidr(cidr)} has ${usable} usable addresses, the nodes' VNICs want ${wanted}`
    return [{ field: `subnets[${index}].cidr`, problem }]
  })
}

function checkCluster({ cluster, nodes, subnets }: Scenario): readonly FieldError[] {
  if (cluster === undefined) return []
  const secondaries = nodes.flatMap(({ vnics }, node) =>
    vnics.flatMap(({ primary, secondaryAddresses }, index) => {
      const field = `nodes[${node}].vnics[${index}]`
      if (!primary)
        return [
          { field, problem: 'in a cluster the controller attaches the secondary VNICs; list the primary one only' },
        ]
      if (secondaryAddresses === 0) return []
      return [
        { field: `${field}.secondaryAddresses`, problem: 'in a cluster pods have addresses of secondary VNICs only' },
      ]
    }),
  )
  const unknownSubnets = cluster.podSubnets.flatMap((name, index) =>
    subnets.some((subnet) => subnet.name === name)
      ? []
      : [{ field: `cluster.podSubnets[${index}]`, problem: unknown('subnet', name, subnets) }],
  )
  return [...secondaries, ...unknownSubnets, ...duplicates('cluster.sets', cluster.sets)]
}

function duplicates(field: string, members: readonly { readonly name: string }[]): readonly FieldError[] {
  return members.flatMap(({ name }, index) => {
    const first = members.findIndex((member) => member.name === name)
    if (first === index) return []
    return [{ field: `${field}[${index}].name`, problem: `${JSON.stringify(name)} is already ${field}[${first}]` }]
  })
}

function unknown(what: string, name: string, known: readonly { readonly name: string }[]): string {
  return `${JSON.stringify(name)} is no ${what} of this scenario; there are ${known.map((one) => one.name).join(', ')}`
}
