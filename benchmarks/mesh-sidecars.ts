// The sidecars of both ends of a path, as the lab runs them in its pods.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { vcnctlPath } from '../src/cli/project-root.ts'
import { issueIdentity } from '../src/lab/sidecar/certificates.ts'
import { haproxyConfig } from '../src/lab/sidecar/haproxy-config.ts'
import { writePeers } from '../src/lab/sidecar/peers.ts'
import { conventions } from '../src/lab/sidecar/profile.ts'
import { Background, inNetns } from '../test/clients/run-process.ts'
import { onProcessor } from './placement.ts'
import type { PodPath } from './traffic.ts'

/** `oursTls`: with mutual TLS between the two. */
export const sidecarKinds = ['haproxy', 'ours', 'oursTls'] as const
export type SidecarKind = (typeof sidecarKinds)[number]

/** Both sidecars of a path, until the scope ends. */
export interface SidecarPair extends AsyncDisposable {
  /** Throws unless both have carried connections to the server, and encrypted if they should. */
  readonly requireUse: () => void
}

type End = 'client' | 'server'

const startTimeoutMs = 20_000
const pollMs = 20

/** Returns when both listen. */
export async function startSidecars(
  kind: SidecarKind,
  path: PodPath,
  directory: string,
  signal: AbortSignal,
): Promise<SidecarPair> {
  const scope = new AsyncDisposableStack()
  const logOf = (end: End): string => join(directory, `sidecar-${kind}-${end}.log`)
  try {
    for (const [end, netnsPath] of [
      ['client', path.clientNetnsPath],
      ['server', path.serverNetnsPath],
    ] as const) {
      const command = await commandOf(kind, end, path, directory)
      const argv = inNetns(netnsPath, [...onProcessor(1), ...command])
      await awaitListening(scope.use(await Background.start(argv, logOf(end))), logOf(end), signal)
    }
  } catch (error) {
    await scope.disposeAsync()
    throw error
  }
  const requireUse = (): void => {
    for (const end of ['client', 'server'] as const) requireCarried(kind, path, readFileSync(logOf(end), 'utf8'))
  }
  return { requireUse, [Symbol.asyncDispose]: () => scope.disposeAsync() }
}

async function awaitListening(sidecar: Background, logPath: string, signal: AbortSignal): Promise<void> {
  const { inboundPort, outboundPort } = conventions.istio
  // proc_net_tcp(5): local address and port, remote ones, state 0A: it listens.
  const marks = [inboundPort, outboundPort].map((port) => `:${port.toString(16).toUpperCase()} 00000000:0000 0A`)
  const deadlineMs = performance.now() + startTimeoutMs
  for (;;) {
    if (sidecar.hasEnded || performance.now() > deadlineMs)
      throw new Error(`a sidecar does not listen: ${readFileSync(logPath, 'utf8')}`)
    const sockets = readFileSync(`/proc/${sidecar.pid}/net/tcp`, 'utf8')
    if (marks.every((mark) => sockets.includes(mark))) return
    await delay(pollMs, undefined, { signal })
  }
}

async function commandOf(kind: SidecarKind, end: End, path: PodPath, directory: string): Promise<readonly string[]> {
  switch (kind) {
    case 'haproxy':
      return haproxyCommand(directory)
    case 'ours':
      return [vcnctlPath, 'lab', 'sidecar']
    case 'oursTls': {
      const { key, certificate, authority } = await issueIdentity(directory, 'default', end)
      const peers = join(directory, 'peers.json')
      writePeers(peers, [path.serverAddress])
      // Read again and again, by the user that the sidecar has become.
      chmodSync(directory, 0o711)
      const files = ['--key', key, '--certificate', certificate, '--authority', authority, '--peers', peers]
      return [vcnctlPath, 'lab', 'sidecar', '--strict', ...files]
    }
  }
}

/** It takes its user itself: that user sees nothing of the benchmark's directory. */
function haproxyCommand(directory: string): readonly string[] {
  const { uid, gid } = conventions.istio
  const [user, proxy] = [join(directory, 'haproxy-user.cfg'), join(directory, 'haproxy.cfg')]
  writeFileSync(user, `global\n  uid ${uid}\n  gid ${gid}\n`)
  writeFileSync(proxy, haproxyConfig())
  return ['haproxy', '-db', '-f', user, '-f', proxy]
}

function requireCarried(kind: SidecarKind, { serverAddress }: PodPath, log: string): void {
  const carried = log
    .split('\n')
    .filter((line) => line.includes(`"originalDestination":"${serverAddress}:`) && !line.includes('"refused: '))
  if (carried.length === 0) throw new Error(`a sidecar (${kind}) has carried nothing to ${serverAddress}: ${log}`)
  const isEncrypted = carried.every((line) => line.includes('"peer":"spiffe://'))
  if (isEncrypted !== (kind === 'oursTls')) throw new Error(`a sidecar (${kind}): ${carried.join('\n')}`)
}
