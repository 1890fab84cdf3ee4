// What the plugin printed, and what it left behind.
import { expect } from 'vitest'
import * as z from 'zod'
import type { AttachmentStatus } from '../../src/agent/status.ts'
import { unwrap } from '../../src/base/result.ts'
import { type CniResult, parseResult } from '../../src/cni/result.ts'
import { supportedVersions } from '../../src/cni/versions.ts'
import { observeNetns } from './node-links.ts'
import type { CniAnswer, CniCall, TestNode } from './test-node.ts'

const versioned = z.object({ cniVersion: z.enum(supportedVersions) })
const errorSchema = z.object({ cniVersion: z.string(), code: z.number(), msg: z.string(), details: z.string() })

/** The result of a successful ADD, read as the version it says it has. */
export function resultOf(answer: CniAnswer): CniResult {
  if (answer.exitCode !== 0) throw new Error(`exit code ${answer.exitCode}: ${answer.stdout}`)
  return unwrap(parseResult(answer.json, versioned.parse(answer.json).cniVersion))
}

/** The only address of a result, without its prefix length. */
export function addressOf(answer: CniAnswer): string {
  const [ip, ...others] = resultOf(answer).ips
  if (ip === undefined || others.length > 0) throw new Error(`not one address: ${answer.stdout}`)
  return ip.address.replace('/32', '')
}

export function errorOf(answer: CniAnswer): z.infer<typeof errorSchema> {
  expect(answer.exitCode, answer.stdout).toBe(1)
  return errorSchema.parse(answer.json)
}

/** Everything that an execution may have changed. */
export interface Evidence {
  readonly attachments: readonly AttachmentStatus[]
  /** Addresses held, by VNIC. How many of the others cool down changes by itself. */
  readonly held: Readonly<Record<string, number>>
  /** One text for each link, address, neighbour, route and rule, by namespace. */
  readonly kernel: Readonly<Record<string, readonly string[]>>
}

export async function gatherEvidence(node: TestNode, ...podNetns: readonly string[]): Promise<Evidence> {
  const { attachments, vnics } = await node.status()
  const kernel = Object.fromEntries([node.netnsPath, ...podNetns].map((path) => [path, kernelObjects(path)]))
  return { attachments, held: Object.fromEntries(vnics.map(({ id, held }) => [id, held])), kernel }
}

/** The kernel's IPv4 objects of a namespace as sorted texts, equal when the namespaces hold the same. */
export function kernelObjects(netnsPath: string): readonly string[] {
  const { links, ...others } = observeNetns(netnsPath)
  // Packets are counted all the time, and an interface takes a moment until it is operational.
  const lasting = links.map((link) => ({ ...link, counters: undefined, operState: undefined }))
  return Object.entries<readonly unknown[]>({ links: lasting, ...others })
    .flatMap(([kind, objects]) => objects.map((object) => `${kind}: ${JSON.stringify(object)}`))
    .sort()
}

/** An execution that is refused, with nothing allocated and no kernel object changed at either end. */
export async function expectRefused(
  node: TestNode,
  call: CniCall,
  expected: { readonly code: number; readonly msg: string | RegExp },
): Promise<void> {
  const pod = call.netnsPath !== undefined && call.netnsPath.startsWith(`/run/netns/${node.name}`)
  const watched = pod ? [call.netnsPath] : []
  const before = await gatherEvidence(node, ...watched)
  const answer = await node.cni('ADD', call)
  const { code, msg, details } = errorOf(answer)
  expect(code, msg).toBe(expected.code)
  expect(msg).toMatch(expected.msg)
  expect(details).not.toBe('')
  expect(await gatherEvidence(node, ...watched)).toEqual(before)
}
