import { Command } from 'commander'
import { startAgent, writeAgentFiles } from '../../lab/agent-process.ts'
import { askCluster } from '../../lab/cluster/control-client.ts'
import { type ControlRequest, controlRequestSchema } from '../../lab/cluster/control-protocol.ts'
import { formatFieldErrors, parseWith } from '../../base/schema.ts'
import { CliError } from '../cli-error.ts'
import { interruptible } from '../interrupt.ts'
import { nameOption, openCluster, openLab } from './lab-options.ts'

interface NameFlag {
  readonly name: string
}

export function cloudCommand(): Command {
  return new Command('cloud')
    .description('look into the emulated cloud of a lab that is a cluster, and let it misbehave')
    .addCommand(
      new Command('list')
        .description('instances, VNICs and private addresses as the cloud knows them, in JSON')
        .addOption(nameOption())
        .action(({ name }: NameFlag) => ask(name, { method: 'cloud' })),
    )
    .addCommand(
      new Command('faults')
        .description(
          'what goes wrong from now on, such as \'[{"operation":"CreatePrivateIp","when":{"kind":"always"},…}]\'',
        )
        .argument('<rules>', 'JSON (docs/lab.md); [] ends all faults')
        .addOption(nameOption())
        .action((rules: string, { name }: NameFlag) => ask(name, parseFaults(rules))),
    )
}

export function kubeCommand(): Command {
  return new Command('kube')
    .description('let the small Kubernetes API of a lab misbehave: pause, resume, disconnect (watches), compact')
    .argument('<trouble>')
    .addOption(nameOption())
    .action((trouble: string, { name }: NameFlag) => ask(name, parseRequest({ method: 'kube', trouble })))
}

export function nodeCommand(): Command {
  return new Command('node')
    .description('add a node to a lab that is a cluster, or terminate one')
    .addCommand(
      new Command('add')
        .argument('<node>')
        .addOption(nameOption())
        .action((node: string, { name }: NameFlag) => addNode(name, node)),
    )
    .addCommand(
      new Command('terminate')
        .description('end the instance, with its VNICs, addresses and pods')
        .argument('<node>')
        .addOption(nameOption())
        .action((node: string, { name }: NameFlag) => ask(name, { method: 'terminate', node })),
    )
}

async function addNode(name: string, nodeName: string): Promise<void> {
  openCluster(name)
  await ask(name, { method: 'launch', node: nodeName })
  // As it is now: the cluster process has added the node.
  const lab = openLab(name)
  const node = lab.nodes.find((one) => one.name === nodeName)
  if (node === undefined) throw new CliError(`the cluster process has not added node ${nodeName}`)
  writeAgentFiles(lab, node)
  startAgent(lab, node)
}

async function ask(name: string, request: ControlRequest): Promise<void> {
  openCluster(name)
  await interruptible(async (signal) => {
    const answer = await askCluster(name, request, signal)
    if (!answer.ok) throw new CliError(answer.error)
    if (answer.value !== null) process.stdout.write(`${JSON.stringify(answer.value, null, 2)}\n`)
  })
}

function parseFaults(text: string): ControlRequest {
  let rules: unknown
  try {
    rules = JSON.parse(text)
  } catch (error) {
    throw new CliError(`the rules are not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  return parseRequest({ method: 'faults', rules })
}

function parseRequest(raw: unknown): ControlRequest {
  const parsed = parseWith(controlRequestSchema, raw)
  if (!parsed.ok) throw new CliError(formatFieldErrors(parsed.error))
  return parsed.value
}
