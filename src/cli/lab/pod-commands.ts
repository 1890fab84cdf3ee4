import { Command } from 'commander'
import { checkAttachment } from '../../lab/cni-runtime.ts'
import { describeCniFailure } from '../../lab/cni-plugin.ts'
import type { LabState } from '../../lab/lab-state.ts'
import { readPod } from '../../lab/lab-store.ts'
import { parsePodName } from '../../lab/names.ts'
import { addPod, attachmentOf, deletePod, describePodFailure, runtimeNode } from '../../lab/pods.ts'
import { parsePortMapping } from '../../lab/scenario-file.ts'
import type { PortMapping } from '../../lab/scenario.ts'
import { CliError } from '../cli-error.ts'
import { interruptible } from '../interrupt.ts'
import { nameOption, openLab, viaResult } from './lab-options.ts'

interface AddFlags {
  readonly name: string
  readonly node: string
  readonly namespace: string
  readonly port: readonly PortMapping[]
}

export function podCommand(): Command {
  return new Command('pod')
    .description('add, check and delete pods through the node’s CNI configuration, as a container runtime does')
    .addCommand(addCommand())
    .addCommand(checkCommand())
    .addCommand(deleteCommand())
}

function addCommand(): Command {
  const parsePort = viaResult(parsePortMapping)
  return new Command('add')
    .argument('<pod>', 'name of the pod, unique in the lab', viaResult(parsePodName))
    .addOption(nameOption())
    .requiredOption('--node <node>', 'where it runs')
    .option('--namespace <namespace>', 'its Kubernetes namespace', viaResult(parsePodName), 'default')
    .option<readonly PortMapping[]>(
      '--port <mapping>',
      'host port to container port, such as 8080:80 or 5353:53/udp; repeatable',
      (text, before) => [...before, parsePort(text)],
      [],
    )
    .action(async (pod: string, { name, port: ports, node, namespace }: AddFlags) => {
      const lab = openLab(name)
      refuseInCluster(lab)
      await interruptible(async (signal) => {
        const added = await addPod(lab, { name: pod, namespace, node, ports }, signal)
        if (!added.ok) throw new CliError(describePodFailure(added.error))
        process.stdout.write(`${added.value.address ?? 'no address'}\n`)
      })
    })
}

function checkCommand(): Command {
  return new Command('check')
    .description('ask the plugins whether the pod’s network is as it was made (CNI CHECK)')
    .argument('<pod>')
    .addOption(nameOption())
    .action(async (podName: string, { name }: { name: string }) => {
      const lab = openLab(name)
      const pod = readPod(name, podName)
      if (!pod.ok) throw new CliError(pod.error)
      const node = runtimeNode(lab, pod.value.node)
      if (!node.ok) throw new CliError(describePodFailure(node.error))
      await interruptible(async (signal) => {
        const checked = await checkAttachment(node.value, attachmentOf(pod.value), signal)
        if (!checked.ok) throw new CliError(describeCniFailure(checked.error))
        process.stdout.write('as it was made\n')
      })
    })
}

function deleteCommand(): Command {
  return new Command('delete')
    .argument('<pod>')
    .addOption(nameOption())
    .action(async (pod: string, { name }: { name: string }) => {
      const lab = openLab(name)
      refuseInCluster(lab)
      await interruptible(async (signal) => {
        const deleted = await deletePod(lab, pod, signal)
        if (!deleted.ok) throw new CliError(describePodFailure(deleted.error))
      })
    })
}

function refuseInCluster({ name, cluster }: LabState): void {
  if (cluster === undefined) return
  throw new CliError(
    `lab ${name} is a cluster: its pods are made and deleted by vcnctl lab scale, or vcnctl lab kubectl`,
  )
}
