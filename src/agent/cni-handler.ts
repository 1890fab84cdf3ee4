import { formatAttachmentKey } from '../base/attachment.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/logger.ts'
import { err, ok, type Result } from '../base/result.ts'
import { type CniError, cniError, renderError } from '../cni/errors.ts'
import type { Invocation } from '../cni/invocation.ts'
import { answerVersion, type CniRequest, type GcRequest, parseRequest } from '../cni/request.ts'
import { renderResult, renderVersionResult } from '../cni/result.ts'
import { newestVersion } from '../cni/versions.ts'
import { usage } from '../ipam/address-pool.ts'
import type { Attachments } from './attachments.ts'
import type { NodeNetwork } from './node-network.ts'
import type { RequestGate } from './request-gate.ts'

export interface CniAnswer {
  readonly exitCode: number
  readonly stdout: string
}

export interface CniHandlerDependencies {
  readonly attachments: Attachments
  readonly node: NodeNetwork
  readonly gate: RequestGate
  /** Why the node cannot have addresses for pods yet; absent, or undefined, when it can. */
  readonly unavailable?: string | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/** What a plugin answers to a request: the text that it prints. */
export type Respond = (request: CniRequest) => Promise<Result<string, CniError>>

export function handleInvocation(invocation: Invocation, deps: CniHandlerDependencies): Promise<CniAnswer> {
  return answerInvocation(invocation, (request) => dispatch(request, deps), deps)
}

/** One execution of a plugin: from the invocation to what it prints and its exit code. Never throws. */
export async function answerInvocation(
  invocation: Invocation,
  respond: Respond,
  { clock, logger }: Pick<CniHandlerDependencies, 'clock' | 'logger'>,
): Promise<CniAnswer> {
  const startMs = clock.monotonicMs()
  const request = parseRequest(invocation)
  const outcome = request.ok ? await answer(request.value, respond, logger) : request
  const elapsedMs = clock.monotonicMs() - startMs
  const { program } = invocation
  const command = invocation.env.get('CNI_COMMAND')
  if (outcome.ok) {
    logger.debug('cni.answered', { program, command, elapsedMs })
    return { exitCode: 0, stdout: outcome.value }
  }
  logger.warn('cni.refused', {
    program,
    command,
    ...outcome.error,
    container: invocation.env.get('CNI_CONTAINERID'),
    elapsedMs,
  })
  return { exitCode: 1, stdout: renderError(outcome.error, answerVersion(invocation)) }
}

/** The first request of a process is parsed in 17 ms, later ones in 35 µs (zod compiles its schemas when first used). */
export function warmUp(): void {
  const network = { cniVersion: newestVersion, name: 'warm-up', type: 'vcn-cni' }
  const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'warm-up', CNI_IFNAME: 'eth0', CNI_NETNS: '/warm-up' }
  const stdin = Buffer.from(JSON.stringify(network))
  parseRequest({ program: 'vcn-cni', env: new Map(Object.entries(env)), stdin })
}

async function answer(request: CniRequest, respond: Respond, logger: Logger): Promise<Result<string, CniError>> {
  try {
    return await respond(request)
  } catch (error) {
    // A bug, or a disk or kernel that refuses what it never refuses: said once here, with everything known of it.
    logger.error('cni.failed', { command: request.command, error })
    return err(
      cniError(
        isDiskFailure(error) ? 'IO_FAILURE' : 'INTERNAL',
        error instanceof Error ? error.message : String(error),
      ),
    )
  }
}

/** The journal's disk is full, read-only or broken: nothing that a bug report would help (node:sqlite's error code). */
function isDiskFailure(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR'
}

async function dispatch(request: CniRequest, deps: CniHandlerDependencies): Promise<Result<string, CniError>> {
  const { attachments, gate } = deps
  switch (request.command) {
    case 'ADD': {
      const patience = attachments.patience()
      const added = await gate.run<Awaited<ReturnType<Attachments['add']>>>(
        formatAttachmentKey(request.key),
        () => attachments.add(request, patience),
        () => attachments.whyNotYet(request, patience),
      )
      return added.ok ? ok(renderResult(added.value, request.version)) : added
    }
    case 'DEL':
      return silent(await gate.run(formatAttachmentKey(request.key), () => attachments.del(request)))
    case 'CHECK':
      return silent(await gate.run(formatAttachmentKey(request.key), () => Promise.resolve(attachments.check(request))))
    case 'GC':
      return silent(await collectGarbage(request, deps))
    case 'STATUS':
      return silent(status(deps))
    case 'VERSION':
      return ok(renderVersionResult(request.version))
  }
}

/** Goes on past errors and reports them all at the end (SPEC.md 1.1.0, "GC"). */
async function collectGarbage(
  request: GcRequest,
  { attachments, gate }: CniHandlerDependencies,
): Promise<Result<void, CniError>> {
  const failures: string[] = []
  for (const row of attachments.garbage(request)) {
    const attachment = formatAttachmentKey(row.key)
    const released = await gate.run(attachment, () => attachments.releaseUnchanged(row))
    if (!released.ok) failures.push(`${attachment}: ${released.error.msg}`)
  }
  return failures.length === 0 ? ok(undefined) : err(cniError('KERNEL_REFUSED', failures.join('; ')))
}

/** No cloud call, no look at the kernel: what the last comparison found. containerd asks every few seconds. */
function status({ node, attachments, unavailable }: CniHandlerDependencies): Result<void, CniError> {
  if (unavailable !== undefined) return err(cniError('NOT_AVAILABLE', unavailable))
  if (node.problems.length > 0) return err(cniError('LIMITED_CONNECTIVITY', node.problems.join('; ')))
  const { vnics } = usage(attachments.pool())
  if (vnics.some(({ free, cooling }) => free + cooling > 0)) return ok(undefined)
  const pools = vnics
    .filter(({ total }) => total > 0)
    .map(({ vnicId, total }) => `VNIC ${vnicId}: all ${total} addresses are in use`)
  return err(cniError('NOT_AVAILABLE', pools.length === 0 ? 'no VNIC has addresses for pods' : pools.join('; ')))
}

function silent(outcome: Result<void, CniError>): Result<string, CniError> {
  return outcome.ok ? ok('') : outcome
}
