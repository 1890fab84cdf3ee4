import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Background, inNetns } from '../test/clients/run-process.ts'
import { onProcessor } from './placement.ts'

/** Two pods that can reach each other. */
export interface PodPath {
  readonly name: string
  readonly clientNetnsPath: string
  readonly serverNetnsPath: string
  readonly serverAddress: string
}

export interface TrafficPrograms {
  /** The compiled native/request-response.c. */
  readonly requestResponse: string
  /** Where the servers' output goes. */
  readonly directory: string
}

const requestPort = 7000
const iperfPort = 5201
const connectAttempts = 20
const connectPauseMs = 100
/** For what takes longer than it was told to: a path that loses packets. */
const allowanceMs = 5000
// Both ends on one processor: on two, most of a request's time is the waking of an idle virtual processor, ten times
// what is measured, and a stream's speed is a matter of which end is the slower one at that moment.
const pinned = onProcessor(1)

// The machine's default congestion control may pace (bbr): the speed would be a matter of timers, not of the path. And a
// window that grows to megabytes leaves the processor's cache: the speed would be the memory's, 17 to 32 Gbit/s here.
const steady = ['--congestion', 'cubic', '--window', '256K']

/** The servers of a path, in its server's pod, until the scope ends. */
export async function startServers(path: PodPath, programs: TrafficPrograms): Promise<AsyncDisposable> {
  const servers = new AsyncDisposableStack()
  try {
    const { serverAddress, serverNetnsPath } = path
    const commands = [
      [programs.requestResponse, 'serve', serverAddress, String(requestPort)],
      ['iperf3', '--server', '--bind', serverAddress, '--port', String(iperfPort)],
    ]
    for (const command of commands) {
      const argv = inNetns(serverNetnsPath, [...pinned, ...command])
      servers.use(await Background.start(argv, join(programs.directory, `${path.name}.log`)))
    }
    return servers
  } catch (error) {
    await servers.disposeAsync()
    throw error
  }
}

/** Waits until both servers of a path answer. */
export async function awaitServers(path: PodPath, programs: TrafficPrograms, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await measureRequestRate(path, programs, { durationMs: 1, connection: 'kept' }, signal)
      await measureThroughput(path, 1, signal)
      return
    } catch (error) {
      if (signal.aborted || attempt === connectAttempts) throw error
      await delay(connectPauseMs)
    }
  }
}

/** One TCP stream by iperf3. Returns the bits that arrived in a second, in 10^9. */
export async function measureThroughput(path: PodPath, seconds: number, signal: AbortSignal): Promise<number> {
  const flags = ['--port', String(iperfPort), '--time', String(seconds), ...steady, '--json']
  const stdout = await runInPod(path, ['iperf3', '--client', path.serverAddress, ...flags], seconds * 1000, signal)
  const { end, error } = JSON.parse(stdout) as Iperf3Report
  const bitsPerSecond = end?.sum_received?.bits_per_second
  if (bitsPerSecond === undefined) throw new Error(`iperf3 over ${path.name}: ${error ?? stdout}`)
  return bitsPerSecond / 1e9
}

interface Iperf3Report {
  readonly end?: { readonly sum_received?: { readonly bits_per_second: number } }
  readonly error?: string
}

export interface RequestOptions {
  readonly durationMs: number
  /** One connection for all requests, or a new one for each. */
  readonly connection: 'kept' | 'new'
}

/** Requests answered in a second, one after the other. */
export async function measureRequestRate(
  path: PodPath,
  { requestResponse }: TrafficPrograms,
  { durationMs, connection }: RequestOptions,
  signal: AbortSignal,
): Promise<number> {
  const command = [requestResponse, 'ask', path.serverAddress, String(requestPort), String(durationMs), connection]
  const perSecond = Number.parseFloat(await runInPod(path, command, durationMs, signal))
  if (!(perSecond > 0)) throw new Error(`no requests were answered over ${path.name}`)
  return perSecond
}

async function runInPod(
  { clientNetnsPath }: PodPath,
  command: readonly string[],
  durationMs: number,
  signal: AbortSignal,
): Promise<string> {
  const [program = '', ...args] = inNetns(clientNetnsPath, [...pinned, ...command])
  const options = { signal, timeout: durationMs + allowanceMs, killSignal: 'SIGKILL' } as const
  try {
    return (await promisify(execFile)(program, args, options)).stdout
  } catch (error) {
    const { stderr = '' } = error as { readonly stderr?: string }
    throw new Error(`${command.join(' ')} in ${clientNetnsPath}: ${stderr.trim()}`, { cause: error })
  }
}
