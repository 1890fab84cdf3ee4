// Writes iproute2-requests.json and kernel-answers.json beside this file: what iproute2 sends for known commands, and
// what the kernel answers, as strace sees it. Run as root when either should be renewed: node src/linux/testdata/capture.ts
// What the bytes mean is not taken from our decoder: it stands beside each command, written by hand.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { unwrap } from '../../base/result.ts'
import * as libc from '../libc.ts'
import { openRouteSocket } from '../netlink/socket.ts'
import { encodeRequests, type NetlinkRequest } from '../netlink/wire.ts'
import { netnsDirectory, openNetns, withNetns } from '../netns.ts'
import { answers, ourRequests, preparation } from './answer-commands.ts'
import { requests } from './request-commands.ts'
import { type Exchange, traceNetlink } from './strace.ts'

/** Stand for namespaces in the commands: what is written does not change with their names. */
interface Namespaces {
  readonly NODE: string
  readonly POD: string
}

function inNamespaces<T>(work: (names: Namespaces) => T): T {
  const suffix = randomBytes(4).toString('hex')
  const names = { NODE: `vcnt-${suffix}-node`, POD: `vcnt-${suffix}-pod` }
  try {
    for (const name of Object.values(names)) execFileSync('ip', ['netns', 'add', name])
    return work(names)
  } finally {
    for (const name of Object.values(names)) spawnSync('ip', ['netns', 'delete', name])
  }
}

function run(command: string, names: Namespaces): void {
  execFileSync('ip', ['netns', 'exec', names.NODE, ...words(command, names)])
}

function words(command: string, { NODE, POD }: Namespaces): readonly string[] {
  return command.replaceAll('NODE', NODE).replaceAll('POD', POD).split(' ')
}

/** The last exchange whose request is of the type: iproute2 asks for interface indexes first. */
function exchangeOf(command: string, messageType: number, names: Namespaces): Exchange {
  const { exchanges } = traceNetlink(names.NODE, words(command, names))
  const found = exchanges.findLast(({ sent }) => Buffer.from(sent, 'hex').readUInt16LE(4) === messageType)
  if (found === undefined) throw new Error(`"${command}" sent no message of type ${messageType}`)
  return found
}

function errnoOf({ received: [first = ''] }: Exchange): number {
  return Buffer.from(first, 'hex').readInt32LE(16)
}

function captureRequests(names: Namespaces): object {
  return requests.map((row) => {
    for (const command of row.before ?? []) run(command, names)
    const { command, messageType, operation, arguments: values, sameBytes = false } = row
    const exchange = exchangeOf(command, messageType, names)
    if (errnoOf(exchange) !== 0) throw new Error(`"${command}" was refused: ${errnoOf(exchange)}`)
    return { command, operation, arguments: values, sameBytes, hex: exchange.sent }
  })
}

function captureAnswers(names: Namespaces): object {
  for (const command of preparation) run(command, names)
  const toIproute2 = answers.map(({ command, messageType, decoder, means }) => {
    return { command, decoder, means, hex: exchangeOf(command, messageType, names).received }
  })
  const toUs = ourRequests.map(({ command, request, decoder, means }) => {
    return { command, decoder, means, hex: [answerToUs(request, names)] }
  })
  return [...toIproute2, ...toUs]
}

/** iproute2 asks neither for capped acknowledgements nor for strict checking of dumps; our sockets do. */
function answerToUs(request: NetlinkRequest, names: Namespaces): string {
  using netns = unwrap(openNetns(`${netnsDirectory}/${names.NODE}`))
  using socket = withNetns(netns, () => openRouteSocket(64 * 1024))
  libc.send(socket.number, encodeRequests([request], 1, 0))
  const datagram = Buffer.alloc(64 * 1024)
  return datagram.toString('hex', 0, libc.recv(socket.number, datagram))
}

function write(file: string, content: object): void {
  const tool = execFileSync('ip', ['-V'], { encoding: 'utf8' }).trim()
  const document = { capturedWith: `${tool}, Linux ${release()}`, ...content }
  writeFileSync(new URL(file, import.meta.url), `${JSON.stringify(document, null, 2)}\n`)
}

write('iproute2-requests.json', { requests: inNamespaces(captureRequests) })
write('kernel-answers.json', { answers: inNamespaces(captureAnswers) })
