import { Command } from 'commander'
import type { MeshCheck } from '../../agent/mesh/mesh-check.ts'
import { defaultSocketPath, fetchMeshCheck } from '../agent-client.ts'
import { CliError } from '../cli-error.ts'
import { describeMeshCheck, meshProblems } from './describe-check.ts'

interface MeshCheckFlags {
  readonly socket: string
  readonly json: boolean
}

const timeoutMs = 10_000
/** Of the exit code: besides these, 0 for a pod with which all is well. */
const exitCodes = { somethingIsWrong: 1, couldNotBeAsked: 2 } as const

export function meshCheckCommand(): Command {
  return (
    new Command('check')
      .description(
        'whether a pod of this node has the redirection of a service mesh, by whose rules, and what becomes of a connection; ' +
          'ends with exit code 1 when something is wrong, with 2 when it could not be asked',
      )
      .argument('<pod>', 'NAMESPACE/POD, or a pod of namespace default')
      .option('--socket <path>', 'socket of the agent', defaultSocketPath)
      .option('--json', 'for programs: what the agent answered, and what is wrong (`problems`)', false)
      // Also where the command line itself is wrong.
      .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : exitCodes.couldNotBeAsked))
      .action(async (pod: string, flags: MeshCheckFlags) => {
        try {
          const check = await fetchMeshCheck(flags.socket, parsePod(pod), AbortSignal.timeout(timeoutMs))
          print(check, flags)
        } catch (error) {
          if (!(error instanceof CliError)) throw error
          process.stderr.write(`vcnctl: ${error.message}\n`)
          process.exitCode = exitCodes.couldNotBeAsked
        }
      })
  )
}

function print(check: MeshCheck, { json }: MeshCheckFlags): void {
  const problems = meshProblems(check)
  process.stdout.write(json ? `${JSON.stringify({ ...check, problems })}\n` : describeMeshCheck(check))
  if (problems.length > 0) process.exitCode = exitCodes.somethingIsWrong
}

function parsePod(text: string): { readonly namespace: string; readonly name: string } {
  const parts = text.split('/')
  const [namespace = '', name = ''] = parts.length === 1 ? ['default', text] : parts
  if (namespace !== '' && name !== '' && parts.length <= 2) return { namespace, name }
  throw new CliError(
    `${JSON.stringify(text)} is no pod: valid is NAMESPACE/POD, or the name of a pod of namespace default`,
  )
}
