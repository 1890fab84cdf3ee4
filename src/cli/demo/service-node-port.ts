import type { Result } from '../../base/result.ts'
import { askWebServer, type WebAddress, type WebReply } from '../../lab/cluster/web-client.ts'
import { type DemoPod, nodeAddress, nodeNetnsOf } from './demo-context.ts'
import { patchService, type ServiceStage, until } from './service-stage.ts'

/** From outside of the cluster to a node that has no backend any more, then to one that serves its own only. */
export async function showNodePort(stage: ServiceStage, { node: emptyNode }: DemoPod): Promise<void> {
  const { context, service, backends } = stage
  const { lab, screen, checks } = context
  screen.heading(
    'From outside, by a node port',
    `Every node takes connections at its primary VNIC and passes them on. ${emptyNode} has no backend any more; with externalTrafficPolicy Local a node serves its own only, and they see the client itself.`,
  )
  const { ports } = await patchService(stage, { type: 'NodePort' })
  const port = ports[0]?.nodePort ?? 0
  const target = { address: nodeAddress(lab, emptyNode), port }
  const other = backends.find(({ node }) => node !== emptyNode)
  if (other === undefined) throw new Error('no other node has a backend')
  const outsider = lab.nodes.find(({ name }) => name !== emptyNode && name !== other.node)?.name ?? emptyNode
  const host = { name: `the host of ${outsider}`, netns: nodeNetnsOf(lab, outsider) }
  const vcn = { name: 'a machine of the VCN', netns: lab.fabric.vcn.netns }
  const viaCluster = [await answered(stage, vcn.netns, target), await answered(stage, host.netns, target)]

  await patchService(stage, { externalTrafficPolicy: 'Local' })
  const local = { address: nodeAddress(lab, other.node), port }
  const own = nodeAddress(lab, outsider)
  const viaLocal = await answered(stage, host.netns, local, ({ askedBy }) => askedBy === own)
  screen.table(
    ['policy', 'client', 'asks', 'answered by', 'which saw'],
    [
      row('Cluster', vcn.name, `${emptyNode} ${target.address}:${port}`, viaCluster[0]),
      row('Cluster', host.name, `${emptyNode} ${target.address}:${port}`, viaCluster[1]),
      row('Local', host.name, `${other.node} ${local.address}:${port}`, viaLocal),
    ],
  )
  checks.claim(
    `${service.metadata.name} answers at ${emptyNode} from other nodes, which see ${emptyNode}’s own address`,
    viaCluster.every(
      (reply) => reply?.ok === true && reply.value.node !== emptyNode && reply.value.askedBy === target.address,
    ),
    viaCluster.map(describe).join('; '),
  )
  checks.claim(
    `with policy Local ${other.name} answers by the primary VNIC that was asked, and sees the client’s address, ${own}`,
    viaLocal?.ok === true && viaLocal.value.pod === other.name && viaLocal.value.askedBy === own,
    describe(viaLocal),
  )
}

type Outcome = Result<WebReply, string> | undefined

/** The first answer that will do, or after a while what there is instead. */
async function answered(
  stage: ServiceStage,
  netns: string,
  to: WebAddress,
  isWanted: (reply: WebReply) => boolean = () => true,
): Promise<Outcome> {
  let last: Outcome
  const { signal } = stage.context
  await until(signal, async () => {
    last = await askWebServer(netns, to, signal)
    return last.ok && isWanted(last.value) ? true : undefined
  })
  return last
}

function row(policy: string, client: string, asks: string, outcome: Outcome): readonly string[] {
  if (outcome?.ok !== true) return [policy, client, asks, describe(outcome), '']
  const { pod, node, askedBy } = outcome.value
  return [policy, client, asks, `${pod} on ${node}`, askedBy]
}

function describe(outcome: Outcome): string {
  if (outcome === undefined) return 'no answer'
  return outcome.ok ? `${outcome.value.pod} on ${outcome.value.node} saw ${outcome.value.askedBy}` : outcome.error
}
