import { randomBytes } from 'node:crypto'
import { parseIpv4, type Ipv4 } from '../../src/base/ip.ts'
import { unwrap } from '../../src/base/result.ts'
import { Fabric } from '../../src/lab/fabric.ts'
import { planLab } from '../../src/lab/lab-plan.ts'
import type { LabState, LabVnic } from '../../src/lab/lab-state.ts'
import { labDown } from '../../src/lab/lab-down.ts'
import { captureInNetns, type CapturedOutput } from '../../src/lab/netns-process.ts'
import { parseScenario } from '../../src/lab/scenario-file.ts'

/** Two nodes, `a` and `b`, with a node VNIC and a pod VNIC each; the tests play the nodes' agents. */
const twoNodes = unwrap(
  parseScenario(`
vcn: { cidr: 10.0.0.0/16 }
subnets: [{ name: nodes, cidr: 10.0.0.0/24 }, { name: pods, cidr: 10.0.4.0/22 }]
nodes:
  - name: a
    vnics:
      - { name: ens3, subnet: nodes, primary: true }
      - { name: ens5, subnet: pods, secondaryAddresses: 3 }
  - name: b
    vnics:
      - { name: ens3, subnet: nodes, primary: true }
      - { name: ens5, subnet: pods, secondaryAddresses: 3, skipSourceDestCheck: true }
`),
)

export function uniqueLabName(): string {
  return `t${randomBytes(5).toString('hex')}`
}

/** A fabric without agents, to be removed by `await using`. */
export class TestFabric implements AsyncDisposable {
  readonly lab: LabState
  readonly fabric: Fabric

  private constructor(lab: LabState, fabric: Fabric) {
    this.lab = lab
    this.fabric = fabric
  }

  static async build(seed = 1): Promise<TestFabric> {
    const lab = planLab(uniqueLabName(), twoNodes, seed, new Date().toISOString())
    return new TestFabric(lab, await Fabric.build(lab.fabric, new AbortController().signal))
  }

  /** Tries to build another one where `other` stands already. */
  static async buildOver(other: TestFabric): Promise<TestFabric> {
    return new TestFabric(other.lab, await Fabric.build(other.lab.fabric, new AbortController().signal))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.fabric[Symbol.dispose]()
    await labDown(this.lab.name)
  }

  /** As it is now: by node and interface. */
  vnic(node: string, name: string): LabVnic {
    const vnic = this.fabric.state.vnics.find((one) => one.node === node && one.name === name)
    if (vnic === undefined) throw new Error(`no VNIC ${name} in ${node}`)
    return vnic
  }

  address(node: string, index: number): Ipv4 {
    const address = this.vnic(node, 'ens5').secondaryAddresses[index]
    if (address === undefined) throw new Error(`ens5 of ${node} has no secondary address ${index}`)
    return address
  }

  /** Runs a command in a node, which has to succeed. */
  async on(node: string, ...command: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(node, ...command)
    if (exitCode !== 0) throw new Error(`${command.join(' ')}: exit code ${exitCode}: ${stderr}${stdout}`)
    return stdout
  }

  try(node: string, ...command: readonly string[]): Promise<CapturedOutput> {
    return captureInNetns(`vl-${this.lab.name}-${node}`, command)
  }

  /** Gives the node an address on a pod VNIC, with the source-based route that it takes. */
  async useAddress(node: string, address: Ipv4, ifname = 'ens5'): Promise<void> {
    const ip = (...words: readonly string[]): Promise<string> => this.on(node, 'ip', ...words)
    await ip('link', 'set', ifname, 'up')
    await ip('address', 'replace', `${address}/32`, 'dev', ifname)
    await ip('route', 'replace', '10.0.4.1', 'dev', ifname, 'table', '5')
    await ip('route', 'replace', 'default', 'via', '10.0.4.1', 'dev', ifname, 'table', '5')
    await ip('rule', 'add', 'from', address, 'table', '5')
    // Answers go out by rule, not by the interface that the request came in by.
    for (const name of ['ens3', ifname]) {
      await this.on(node, 'sh', '-c', `echo 2 > /proc/sys/net/ipv4/conf/${name}/rp_filter`)
    }
  }

  async pings(node: string, to: string, ...flags: readonly string[]): Promise<boolean> {
    const { exitCode } = await this.try(node, 'ping', '-n', '-c', '1', '-W', '1', ...flags, to)
    return exitCode === 0
  }
}

export function addressOf(text: string): Ipv4 {
  return unwrap(parseIpv4(text))
}
