import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import * as z from 'zod'
import { type Ipv4, parseIpv4 } from '../base/ip.ts'
import { err, ok, type Result } from '../base/result.ts'
import { formatFieldErrors, parseWith, viaParser } from '../base/schema.ts'
import { listNamedNetns } from '../linux/netns.ts'
import { encodeLabState, type LabState, parseLabState } from './lab-state.ts'
import { labDirectory, labOfNetns, labsDirectory } from './names.ts'
import type { PortMapping } from './scenario.ts'

// What a lab keeps under /run/vcn-lab: one file for what was built and one for each pod, so that commands that add and
// delete pods at the same time do not overwrite each other's work.

export interface PodRecord {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly node: string
  readonly netns: string
  readonly containerId: string
  readonly ifname: string
  readonly ports: readonly PortMapping[]
  /** Absent until the ADD has succeeded. */
  readonly address?: Ipv4 | undefined
}

const podSchema: z.ZodType<PodRecord> = z.object({
  name: z.string(),
  namespace: z.string(),
  uid: z.string(),
  node: z.string(),
  netns: z.string(),
  containerId: z.string(),
  ifname: z.string(),
  ports: z.array(z.object({ hostPort: z.int(), containerPort: z.int(), protocol: z.enum(['tcp', 'udp', 'sctp']) })),
  address: z.string().transform(viaParser(parseIpv4)).optional(),
})

/** Takes the name: of two that try at once one gets it. */
export function claimLab(name: string): Result<void, 'taken'> {
  mkdirSync(labsDirectory, { recursive: true })
  try {
    mkdirSync(labDirectory(name), { mode: 0o755 })
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return err('taken')
    throw error
  }
  mkdirSync(podsDirectory(name))
  return ok(undefined)
}

export function writeLabState(state: LabState): void {
  writeWhole(stateFile(state.name), encodeLabState(state))
}

export function readLabState(name: string): Result<LabState, string> {
  let text: string
  try {
    text = readFileSync(stateFile(name), 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return err(`there is no lab ${JSON.stringify(name)}`)
    throw error
  }
  const parsed = parseLabState(text)
  return parsed.ok ? parsed : err(`${stateFile(name)}: ${parsed.error}`)
}

/** Every lab that has left something on this machine, whole or not. */
export function listLabs(): readonly string[] {
  const fromNamespaces = listNamedNetns().flatMap((netns) => labOfNetns(netns) ?? [])
  return [...new Set([...entries(labsDirectory), ...fromNamespaces])].sort()
}

/** Takes the pod's name by writing its record. */
export function claimPod(lab: string, pod: PodRecord): Result<void, 'taken'> {
  try {
    writeFileSync(podFile(lab, pod.name), JSON.stringify(pod), { flag: 'wx' })
    return ok(undefined)
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return err('taken')
    throw error
  }
}

export function writePod(lab: string, pod: PodRecord): void {
  writeWhole(podFile(lab, pod.name), JSON.stringify(pod))
}

export function readPod(lab: string, name: string): Result<PodRecord, string> {
  let text: string
  try {
    text = readFileSync(podFile(lab, name), 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return err(`lab ${lab} has no pod ${JSON.stringify(name)}`)
    throw error
  }
  const problem = (what: string): Result<never, string> => err(`${podFile(lab, name)}: ${what}`)
  try {
    const parsed = parseWith(podSchema, JSON.parse(text))
    return parsed.ok ? parsed : problem(formatFieldErrors(parsed.error))
  } catch (error) {
    return problem(error instanceof Error ? error.message : String(error))
  }
}

/** Pods whose record can be read. */
export function listPods(lab: string): readonly PodRecord[] {
  return entries(podsDirectory(lab)).flatMap((entry) => {
    const pod = entry.endsWith('.json') ? readPod(lab, entry.slice(0, -'.json'.length)) : err('another file')
    return pod.ok ? [pod.value] : []
  })
}

export function removePodRecord(lab: string, name: string): void {
  rmSync(podFile(lab, name), { force: true })
}

/** Names in a directory, sorted; none when it does not exist. */
export function entries(directory: string): readonly string[] {
  try {
    return readdirSync(directory).sort()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

function writeWhole(file: string, text: string): void {
  const unfinished = `${file}.${process.pid}.new`
  writeFileSync(unfinished, text)
  renameSync(unfinished, file)
}

function stateFile(name: string): string {
  return `${labDirectory(name)}/lab.json`
}

function podsDirectory(lab: string): string {
  return `${labDirectory(lab)}/pods`
}

function podFile(lab: string, pod: string): string {
  return `${podsDirectory(lab)}/${pod}.json`
}
