import { inspect, parseArgs } from 'node:util'
import { formatHeadlines, formatJsonLine, type Headline, type Report } from './report.ts'

/** A whole number that the command line may change: `--NAME NUMBER`. */
export interface NumberOption {
  readonly standard: number
  readonly meaning: string
}

export interface Measured extends Omit<Report, 'bench'> {
  /** Figures that have goals of their own. */
  readonly goals?: readonly Headline[]
  /** For people: the raw numbers. */
  readonly table: string
}

export interface Benchmark<Option extends string> {
  readonly name: string
  readonly options: Readonly<Record<Option, NumberOption>>
  readonly measure: (options: Readonly<Record<Option, number>>, signal: AbortSignal) => Promise<Measured>
}

/**
 * Runs a benchmark from the command line: progress on standard error, tables and the JSON line on standard output. A
 * missed goal is a result; the exit code tells of measurements that failed. SIGINT and SIGTERM abort the signal, so
 * that the benchmark's scopes end and nothing it made stays.
 */
export async function runBenchmark<Option extends string>(benchmark: Benchmark<Option>): Promise<void> {
  const options = readOptions(benchmark)
  if (options === undefined) return
  const interrupted = new AbortController()
  const interrupt = (signal: NodeJS.Signals): void => interrupted.abort(new Error(`ended by ${signal}`))
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    const { table, goals = [], ...report } = await benchmark.measure(options, interrupted.signal)
    const line = formatJsonLine({ bench: benchmark.name, ...report })
    process.stdout.write(`\n${table}\n${formatHeadlines([...report.ratios, ...goals])}\n${line}\n`)
  } catch (error) {
    const isInterrupted = interrupted.signal.aborted && !(error instanceof SuppressedError)
    progress(`${benchmark.name}: ${isInterrupted ? String(interrupted.signal.reason) : inspect(error)}`)
    process.exitCode = 1
  }
}

export function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

function readOptions<Option extends string>({ name, options }: Benchmark<Option>): Record<Option, number> | undefined {
  const entries = Object.entries<NumberOption>(options) as [Option, NumberOption][]
  const known = Object.fromEntries(entries.map(([option]) => [option, { type: 'string' as const }]))
  try {
    const { values } = parseArgs({ options: known })
    const read = entries.map(([option, { standard }]) => [option, readNumber(option, values[option], standard)])
    return Object.fromEntries(read) as Record<Option, number>
  } catch (error) {
    const lines = entries.map(([option, { standard, meaning }]) => `  --${option} ${standard}  ${meaning}`)
    const problem = error instanceof Error ? error.message : String(error)
    process.stderr.write(`${name}: ${problem}\noptions, with their defaults:\n${lines.join('\n')}\n`)
    process.exitCode = 2
    return undefined
  }
}

function readNumber(option: string, text: string | boolean | undefined, standard: number): number {
  if (text === undefined) return standard
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`--${option}: ${String(text)} is not a whole number above 0`)
  return number
}
