// Real packets between namespaces: what arrives, and from which address it seems to come.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Background, inNetns, run } from './run-process.ts'

const program = join(import.meta.dirname, 'echo-peer.ts')
const readyTimeoutMs = 15_000
const pollMs = 20

export type Protocol = 'tcp' | 'udp' | 'http'

/** Answers TCP and UDP on a port of a namespace, with the caller's address, until the scope ends. */
export async function serveEcho(directory: string, netnsPath: string, port: number): Promise<AsyncDisposable> {
  const logPath = join(directory, `echo-${randomBytes(4).toString('hex')}.log`)
  const server = await Background.start(inNetns(netnsPath, [process.execPath, program, 'serve', `${port}`]), logPath)
  const deadlineMs = performance.now() + readyTimeoutMs
  while (!readFileSync(logPath, 'utf8').includes('ready')) {
    if (server.hasEnded || performance.now() > deadlineMs) {
      await server.end('SIGKILL')
      throw new Error(`no echo server on port ${port} in ${netnsPath}: ${readFileSync(logPath, 'utf8')}`)
    }
    await delay(pollMs)
  }
  return server
}

/**
 * The address that `serveEcho` (TCP, UDP) or a container of busybox-image.ts (HTTP) is called from, as it sees it; or why
 * there is no answer.
 */
export async function ask(netnsPath: string, protocol: Protocol, host: string, port: number): Promise<string> {
  const argv = [process.execPath, program, 'ask', protocol, host, `${port}`]
  const { code, stdout, stderr } = await run(inNetns(netnsPath, argv))
  return code === 0 ? stdout : `no answer: ${stderr.trim()}`
}

interface PingOptions {
  /** Of the whole IP packet, which is never fragmented. */
  readonly bytes?: number
  readonly waitS?: number
}

/** 'answered' as soon as one ping is, else ping's output. */
export async function ping(netnsPath: string, host: string, options: PingOptions = {}): Promise<string> {
  const { bytes = 84, waitS = 10 } = options
  const headerBytes = 28 // IPv4 and ICMP
  // With -w, -c counts answers, not questions (ping(8)).
  const argv = ['ping', '-c1', `-w${waitS}`, '-i0.2', '-Mdo', `-s${bytes - headerBytes}`, host]
  const { code, stdout, stderr } = await run(inNetns(netnsPath, argv))
  return code === 0 ? 'answered' : `${stdout}${stderr}`
}
