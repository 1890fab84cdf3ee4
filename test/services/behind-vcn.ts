// Others in a test node's VCN: a pod of another node, a client outside. Each is a namespace with one address.
import type { TestNode } from '../clients/test-node.ts'

/** Returns the namespace's path; it goes with the node. `ifname`: of the VCN's end, at most 15 bytes. */
export async function connectBehindVcn(node: TestNode, ifname: string, address: string): Promise<string> {
  const netnsPath = node.addPodNetns()
  const router = '10.0.0.1'
  await mustRun(node, node.vcnNetnsPath, `ip link add ${ifname} type veth peer name eth0 netns ${nameOf(netnsPath)}`)
  for (const command of [`link set ${ifname} up`, `route add ${address}/32 dev ${ifname}`]) {
    await mustRun(node, node.vcnNetnsPath, `ip ${command}`)
  }
  const inside = [
    ...['link set lo up', 'link set eth0 up', `address add ${address}/32 dev eth0`],
    ...[`route add ${router}/32 dev eth0`, `route add default via ${router}`],
  ]
  for (const command of inside) await mustRun(node, netnsPath, `ip ${command}`)
  return netnsPath
}

/** Output of a command without spaces in its words, which has to succeed. */
export async function mustRun(node: TestNode, netnsPath: string, command: string, stdin = ''): Promise<string> {
  const { code, stdout, stderr } = await node.exec(netnsPath, command.split(' '), stdin)
  if (code !== 0) throw new Error(`${command} in ${netnsPath}: ${stderr}`)
  return stdout
}

function nameOf(netnsPath: string): string {
  return netnsPath.slice(netnsPath.lastIndexOf('/') + 1)
}
