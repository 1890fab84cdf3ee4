import type { ChildProcess } from 'node:child_process'
import { Command } from 'commander'
import type { LabState } from '../../lab/lab-state.ts'
import { readPod } from '../../lab/lab-store.ts'
import { exitCodeOf, spawnInNetns } from '../../lab/netns-process.ts'
import { runtimeNode } from '../../lab/pods.ts'
import { CliError } from '../cli-error.ts'
import { nameOption, openLab } from './lab-options.ts'

interface ExecFlags {
  readonly name: string
  readonly node?: string
  readonly vcn?: true
  readonly internet?: true
}

export function execCommand(): Command {
  return new Command('exec')
    .description('run a command in the network namespace of a pod, a node, the VCN or the outside world')
    .usage('[options] POD -- COMMAND…  |  --node NODE -- COMMAND…  |  --vcn -- COMMAND…')
    .addOption(nameOption())
    .option('--node <node>', 'in a node in place of a pod')
    .option('--vcn', 'in the VCN’s router: its interfaces are the VNICs’ other ends')
    .option('--internet', 'in the outside world, behind the NAT gateway')
    .argument('[words...]', 'the pod, unless another place is named, and the command')
    .action(async (words: readonly string[], flags: ExecFlags) => {
      const { netns, command } = whereAndWhat(openLab(flags.name), words, flags)
      if (command.length === 0) throw new CliError('which command? For example: vcnctl lab exec web-1 -- ip address')
      process.exitCode = await run(netns, command)
    })
}

interface Target {
  readonly netns: string
  readonly command: readonly string[]
}

function whereAndWhat(lab: LabState, words: readonly string[], { node, vcn, internet }: ExecFlags): Target {
  if ([node, vcn, internet].filter((place) => place !== undefined).length > 1) {
    throw new CliError('--node, --vcn and --internet exclude each other')
  }
  if (vcn === true) return { netns: lab.fabric.vcn.netns, command: words }
  if (internet === true) return { netns: lab.fabric.internet.netns, command: words }
  if (node !== undefined) {
    const found = runtimeNode(lab, node)
    if (!found.ok) throw new CliError(`lab ${lab.name} has no node ${node}`)
    return { netns: found.value.netns, command: words }
  }
  const [name, ...command] = words
  if (name === undefined) throw new CliError('in which pod? For example: vcnctl lab exec web-1 -- ip address')
  const pod = readPod(lab.name, name)
  if (!pod.ok) throw new CliError(pod.error)
  return { netns: pod.value.netns, command }
}

function run(netns: string, command: readonly string[]): Promise<number> {
  return exitCodeOfChild(spawnInNetns(netns, command, { stdio: 'inherit' }))
}

/** Of a child that has this process's terminal. */
export async function exitCodeOfChild(child: ChildProcess): Promise<number> {
  // The terminal sends SIGINT to both; what it means is the command's to say.
  const ignore = (): void => undefined
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal)
  }
  process.on('SIGINT', ignore).on('SIGTERM', pass)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        resolve(exitCodeOf(code, signal))
      })
    })
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', pass)
  }
}
