import { captureInNetns } from '../../lab/netns-process.ts'
import { watchPing } from './capture.ts'
import { type DemoContext, examplePods } from './demo-context.ts'
import { claimPath, nodePlace, podPlace, printPath, vcnPlace } from './packet-paths.ts'

/** A pod talks to the world, which sees the NAT gateway and cannot talk to the pod. */
export async function showOutsideTraffic(context: DemoContext): Promise<void> {
  const { lab, pods, screen, checks, signal } = context
  const { internet } = lab.fabric
  const { from } = examplePods(pods)
  screen.heading(
    'Pod to the internet',
    'No translation on the node: the packet enters the VCN with the pod’s address, and the NAT gateway puts its own in.',
  )
  const outside = { label: 'internet', netns: internet.netns }
  const places = [podPlace(from), nodePlace(context, from), vcnPlace(context), outside]
  const { sightings, answered, lengthBytes } = await watchPing(places, podPlace(from), internet.hostAddress, signal)
  printPath(context, sightings, lengthBytes)
  checks.claim(`${internet.hostAddress} in the internet answers ${from.name}`, answered)
  const node = `node ${from.node}`
  claimPath(context, sightings, [`pod ${from.name}`, node, node, 'VCN', 'VCN', 'internet'])
  const atGateway = sightings.filter(({ place, direction }) => place === 'VCN' && direction === 'in')
  checks.claim(
    `the VCN gets it with the source ${from.address}`,
    atGateway.length > 0 && atGateway.every(({ source }) => source === from.address),
    atGateway.map(({ source }) => source).join(', '),
  )
  const arrived = sightings.filter(({ place }) => place === 'internet')
  checks.claim(
    `the internet sees the NAT gateway, ${internet.natAddress}`,
    arrived.length > 0 && arrived.every(({ source }) => source === internet.natAddress),
    arrived.map(({ source }) => source).join(', '),
  )
  // Straight through the gateway: even someone who has a route to the pod does not get in.
  const intruder = [
    'sh',
    '-c',
    `ip route add ${from.address} via ${internet.natAddress} && ping -c 1 -W 1 ${from.address}`,
  ]
  const { exitCode, stderr } = await captureInNetns(internet.netns, intruder, { signal })
  checks.claim('nobody out there reaches the pod', exitCode === 1 && stderr === '', stderr.trim() || `exit ${exitCode}`)
}
