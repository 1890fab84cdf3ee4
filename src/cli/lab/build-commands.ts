import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { err, ok, type Result } from '../../base/result.ts'
import { formatFieldErrors } from '../../base/schema.ts'
import { labDown, type Removed } from '../../lab/lab-down.ts'
import { listLabs, listPods } from '../../lab/lab-store.ts'
import { describeUpFailure, labUp, type UpEvent } from '../../lab/lab-up.ts'
import { clusterScenarioFile, defaultScenarioFile, readScenario } from '../../lab/scenario-file.ts'
import type { Scenario } from '../../lab/scenario.ts'
import { CliError } from '../cli-error.ts'
import { interruptible } from '../interrupt.ts'
import { nameOption, openLab, requireRoot, viaResult } from './lab-options.ts'

interface UpFlags {
  readonly name: string
  readonly scenario?: string
  readonly cluster: boolean
  readonly kubeconfig?: string
  readonly seed?: number
  readonly pods: boolean
  readonly services: boolean
  readonly policy: boolean
  readonly keepOnFailure: boolean
}

export function upCommand(): Command {
  return new Command('up')
    .description('build a lab: the VCN, its nodes with their agents, and the pods of a scenario')
    .addOption(nameOption())
    .option('--scenario <file>', 'what to build (docs/lab.md); without it the default, or with --cluster a cluster')
    .option('--cluster', 'a Kubernetes cluster: emulated cloud, small API server, controller (for the lab only)', false)
    .option('--kubeconfig <file>', 'of an existing Kubernetes API for the cluster, in place of the small one')
    .option('--seed <number>', 'the same number gives the same addresses', viaResult(parseSeed))
    .option('--no-pods', 'nodes only; add pods by: vcnctl lab pod add')
    .option('--no-services', 'of a cluster: its agents leave Services alone (docs/services.md)')
    .option('--no-policy', 'of a cluster: nothing enforces network policies (docs/network-policy.md)')
    .option('--keep-on-failure', 'leave what stands when something fails, to look at it', false)
    .action(async (flags: UpFlags) => {
      requireRoot()
      const file = flags.scenario ?? (flags.cluster ? clusterScenarioFile : defaultScenarioFile)
      const scenario = withFlags(loadScenario(file), flags)
      const existingKubeconfig = flags.kubeconfig === undefined ? undefined : await checkedKubeconfig(flags.kubeconfig)
      const seed = flags.seed ?? scenario.seed ?? randomSeed()
      const { name, pods: withPods, keepOnFailure } = flags
      await interruptible(async (signal) => {
        const options = { name, scenario, seed, withPods, keepOnFailure, existingKubeconfig, progress: printProgress }
        const up = await labUp(options, signal)
        if (!up.ok) throw new CliError(describeUpFailure(up.error))
        const option = name === 'lab' ? '' : ` --name ${name}`
        process.stdout.write(`lab ${name} stands (seed ${seed}). Look around by: vcnctl lab status${option}\n`)
      })
    })
}

export function downCommand(): Command {
  return new Command('down')
    .description('remove a lab and every trace of it, also one that was left half-built')
    .addOption(nameOption())
    .option('--all', 'every lab on this machine', false)
    .action(async ({ name, all }: { name: string; all: boolean }) => {
      requireRoot()
      const names = all ? listLabs() : [name]
      for (const lab of names) process.stdout.write(describeRemoved(lab, await labDown(lab)))
      if (names.length === 0) process.stdout.write('there is no lab on this machine\n')
    })
}

export function listCommand(): Command {
  return new Command('list').description('the labs on this machine').action(() => {
    for (const name of listLabs()) process.stdout.write(`${describeLab(name)}\n`)
  })
}

export function loadScenario(file: string): Scenario {
  const scenario = readScenario(file)
  if (scenario.ok) return scenario.value
  throw new CliError(`scenario ${file}: ${formatFieldErrors(scenario.error)}`)
}

/** What the scenario has turned off stays off. */
function withFlags(scenario: Scenario, { services, policy }: Pick<UpFlags, 'services' | 'policy'>): Scenario {
  const { cluster } = scenario
  if (cluster === undefined) return scenario
  const off = { ...(!services && { services: false }), ...(!policy && { policy: 'off' as const }) }
  return { ...scenario, cluster: { ...cluster, ...off } }
}

/** Its absolute path. What cannot be used is said before anything is made. */
async function checkedKubeconfig(file: string): Promise<string> {
  const { loadKubeConfig } = await import('../../kube/kube-config.ts')
  const path = resolve(file)
  const config = loadKubeConfig({ kind: 'file', path })
  if (!config.ok) throw new CliError(config.error)
  return path
}

export function randomSeed(): number {
  return randomInt(2 ** 32)
}

function parseSeed(text: string): Result<number, string> {
  const seed = Number(text)
  return /^\d+$/.test(text) && seed < 2 ** 32 ? ok(seed) : err('a seed is a whole number below 4294967296')
}

function printProgress(event: UpEvent): void {
  const seconds = (event.elapsedMs / 1000).toFixed(2).padStart(6)
  process.stdout.write(`${seconds} s  ${describeProgress(event)}\n`)
}

function describeProgress(event: UpEvent): string {
  switch (event.kind) {
    case 'fabric.built':
      return `VCN built: ${event.lab.nodes.length} nodes, ${event.lab.fabric.vnics.length} VNICs`
    case 'agent.ready':
      return `node ${event.node}: agent ready`
    case 'cluster.ready':
      return `cluster: Kubernetes API at ${event.status.kubeUrl}, OCI API at ${event.status.ociEndpoint} (emulated)`
    case 'controller.started':
      return `controller started: pid ${event.pid}`
    case 'node.ready':
      return `node ${event.node}: network ready`
    case 'pods.running':
      return `${event.count} pods are running`
    case 'pod.added':
      return `pod ${event.pod.name} on ${event.pod.node}: ${event.pod.address ?? 'no address'}`
  }
}

function describeRemoved(name: string, { namespaces, processes }: Removed): string {
  if (namespaces === 0 && processes === 0) return `lab ${name}: nothing was running\n`
  return `lab ${name} removed: ${namespaces} namespaces, ${processes} processes\n`
}

function describeLab(name: string): string {
  try {
    const lab = openLab(name)
    return `${name}  ${lab.nodes.length} nodes, ${listPods(name).length} pods, since ${lab.createdAt}`
  } catch {
    return `${name}  incomplete; remove it by: vcnctl lab down --name ${name}`
  }
}
