import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { err, ok, type Result } from '../../base/result.ts'
import type { ApiAccess } from '../../kube/api-access.ts'
import { createApiClient } from '../../kube/http-api-client.ts'
import { type KubeConfigSource, loadKubeConfig } from '../../kube/kube-config.ts'
import { serviceProtocols } from '../../kube/service-port.ts'
import type { Traffic } from '../../policy/decide-flow.ts'
import { CliError } from '../cli-error.ts'
import { describeExplanation, explanationJson } from './describe-explanation.ts'
import { explainFlow, type Explanation } from './explain-flow.ts'
import { resolveEnd } from './flow-end.ts'
import { type PolicyObjects, readPolicyObjects } from './policy-objects.ts'

interface ExplainFlags {
  readonly port?: string
  readonly kubeconfig?: string
  readonly json: boolean
}

const timeoutMs = 60_000
const requestTimeoutMs = 10_000
/** Silence for longer than this looks like a program that hangs. */
const quietMs = 2_000
/** For scripts, as grep's: 0 yes, 1 no, 2 it could not be told. */
const exitCodes = { allowed: 0, denied: 1, error: 2 } as const

export function explainCommand(): Command {
  return new Command('explain')
    .description(
      'may one pod reach another, and which rule of which policy decides; as the agents’ own engine judges what the API server holds now. Exit code: 0 allowed, 1 denied (without --port: any of it), 2 error',
    )
    .argument('<from>', 'NAMESPACE/POD, a pod of namespace default, a node’s name, or an IPv4 address outside')
    .argument('<to>', 'likewise')
    .option(
      '--port <port>',
      'of the destination, such as 80, 80/TCP or 53/UDP; icmp for what has no ports; without it, all that makes a difference',
    )
    .option('--kubeconfig <file>', 'the cluster’s; without it $KUBECONFIG, ~/.kube/config or the service account')
    .option('--json', 'for programs', false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitCodes.error))
    .action(async (from: string, to: string, flags: ExplainFlags) => {
      try {
        const explanation = await explain(from, to, flags)
        const { json } = flags
        process.stdout.write(
          json ? `${JSON.stringify(explanationJson(explanation))}\n` : describeExplanation(explanation),
        )
        const isAllowed = explanation.cases.every(({ decision }) => decision.isAllowed)
        process.exitCode = isAllowed ? exitCodes.allowed : exitCodes.denied
      } catch (error) {
        if (!(error instanceof CliError)) throw error
        process.stderr.write(`vcnctl: ${error.message}\n`)
        process.exitCode = exitCodes.error
      }
    })
}

async function explain(from: string, to: string, { port, kubeconfig }: ExplainFlags): Promise<Explanation> {
  const asked = port === undefined ? undefined : need(parsePort(port))
  const access = need(loadKubeConfig(kubeConfigSource(kubeconfig)))
  const objects = await askApiServer(access)
  return explainFlow(objects, need(resolveEnd(from, objects)), need(resolveEnd(to, objects)), asked)
}

async function askApiServer(access: ApiAccess): Promise<PolicyObjects> {
  const client = createApiClient(access, { userAgent: 'vcnctl', requestTimeoutMs })
  const server = `API server ${access.server.origin}`
  const patience = AbortSignal.timeout(timeoutMs)
  const waiting = setTimeout(() => process.stderr.write(`vcnctl: waiting for the ${server} …\n`), quietMs)
  try {
    return await readPolicyObjects(client, patience)
  } catch (error) {
    if (error instanceof CliError) throw new CliError(`${server}: ${error.message}`)
    if (!patience.aborted) throw error
    throw new CliError(`${server}: has not told everything within ${timeoutMs / 1000} s`)
  } finally {
    clearTimeout(waiting)
    client.close()
  }
}

// As kubectl finds its own, but that it merges the files of a list.
function kubeConfigSource(file: string | undefined): KubeConfigSource {
  if (file !== undefined) return { kind: 'file', path: resolve(file) }
  const [named = ''] = (process.env['KUBECONFIG'] ?? '').split(':')
  const path = named === '' ? `${homedir()}/.kube/config` : named
  return named !== '' || existsSync(path) ? { kind: 'file', path } : { kind: 'inCluster' }
}

function parsePort(text: string): Result<Traffic, string> {
  if (/^icmp$/i.test(text)) return ok({ protocol: 'other' })
  if (/^\w+\/icmp$/i.test(text)) return err(`--port ${text}: ICMP has no ports; ask with --port icmp`)
  const [, digits, given = 'TCP'] = /^(\d{1,5})(?:\/(\w+))?$/.exec(text) ?? []
  const protocol = serviceProtocols.find((one) => one === given.toUpperCase())
  const port = Number(digits)
  if (protocol !== undefined && port >= 1 && port <= 65_535) return ok({ protocol, port })
  return err(
    `--port ${text} is not a port such as 80, 80/TCP or 53/UDP (1 to 65535; ${serviceProtocols.join(', ')}), nor icmp`,
  )
}

function need<T>(result: Result<T, string>): T {
  if (result.ok) return result.value
  throw new CliError(result.error)
}
