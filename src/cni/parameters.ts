import { err, ok, type Result } from '../base/result.ts'
import { type CniError, cniError } from './errors.ts'
import { isAtLeast, type SpecVersion } from './versions.ts'

/**
 * The version each command came with, and the CNI_ variables it cannot do without (SPEC.md 1.1.0, section 2).
 * CNI_PATH is demanded of nobody, though the specification lists it: it serves plugins that run other plugins.
 */
const commands = {
  ADD: { since: '0.3.0', variables: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'] },
  DEL: { since: '0.3.0', variables: ['CNI_CONTAINERID', 'CNI_IFNAME'] },
  CHECK: { since: '0.4.0', variables: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'] },
  GC: { since: '1.1.0', variables: [] },
  STATUS: { since: '1.1.0', variables: [] },
  VERSION: { since: '0.3.0', variables: [] },
} as const satisfies Readonly<Record<string, { since: SpecVersion; variables: readonly string[] }>>

export type Command = keyof typeof commands
type Required<C extends Command> = (typeof commands)[C]['variables'][number]
type Variable = Required<Command>
type Environment = ReadonlyMap<string, string>

/** Each rule returns what is wrong, or nothing. */
const rules: Readonly<Record<Variable, (value: string) => string | undefined>> = {
  CNI_CONTAINERID: identifierProblem,
  CNI_NETNS: (path) => (path.startsWith('/') ? undefined : 'is not an absolute path, such as /run/netns/NAME'),
  CNI_IFNAME: interfaceNameProblem,
}

export function parseCommand(env: Environment): Result<Command, CniError> {
  const command = env.get('CNI_COMMAND') ?? ''
  if (isCommand(command)) return ok(command)
  const valid = Object.keys(commands).join(', ')
  const problem = command === '' ? 'is missing' : `${JSON.stringify(command)} is unknown`
  return err(cniError('INVALID_ENVIRONMENT', `CNI_COMMAND ${problem}; valid are ${valid}`))
}

/** The values of the variables that `command` requires, each checked; an error names all that are missing or invalid. */
export function parseVariables<C extends Command>(
  command: C,
  env: Environment,
): Result<Readonly<Record<Required<C>, string>>, CniError> {
  const values: Partial<Record<Variable, string>> = {}
  const problems: string[] = []
  for (const name of commands[command].variables) {
    const value = env.get(name) ?? ''
    const problem = value === '' ? 'is missing' : rules[name](value)
    if (problem === undefined) values[name] = value
    else problems.push(value === '' ? `${name} ${problem}` : `${name} ${JSON.stringify(value)} ${problem}`)
  }
  if (problems.length > 0) return err(cniError('INVALID_ENVIRONMENT', `${command}: ${problems.join('; ')}`))
  return ok(values as Readonly<Record<Required<C>, string>>)
}

/** The problem, if `version` did not have `command` yet. */
export function commandProblem(command: Command, version: SpecVersion): string | undefined {
  const { since } = commands[command]
  if (isAtLeast(version, since)) return undefined
  return `cniVersion ${JSON.stringify(version)} has no ${command}; valid are ${since} and later`
}

/** A namespace that DEL may clean up in, if there is one: the address has to be freed without it just as well. */
export function optionalNetns(env: Environment): string | undefined {
  const path = env.get('CNI_NETNS') ?? ''
  return rules.CNI_NETNS(path) === undefined ? path : undefined
}

/** The rule for container IDs and network names (SPEC.md, sections 1 and 2). */
export function identifierProblem(value: string): string | undefined {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(value)) return undefined
  return 'must start with a letter or digit and go on with letters, digits, "_", "." or "-"'
}

function interfaceNameProblem(name: string): string | undefined {
  if (Buffer.byteLength(name) > 15) return 'is longer than 15 bytes'
  if (name === '.' || name === '..') return 'is not an interface name'
  // eslint-disable-next-line no-control-regex -- they are what is looked for
  if (/[/:\s\u0000-\u001f\u007f]/.test(name)) return 'must not contain "/", ":", white space or control characters'
  // "eth%d" is a pattern to the kernel, which would pick a name of its own (net/core/dev.c, dev_get_valid_name).
  return name.includes('%') ? 'must not contain "%"' : undefined
}

function isCommand(text: string): text is Command {
  return Object.hasOwn(commands, text)
}
