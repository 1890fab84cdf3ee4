// A program, not a module: run by traffic.ts in the network namespace of a pod, of the node or of the VCN.
//   echo-peer.ts serve PORT                  answers TCP and UDP with the address it was called from
//   echo-peer.ts ask tcp|udp|http HOST PORT  prints that answer; exit code 1 without one
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { inspect } from 'node:util'

const answerTimeoutMs = 10_000
const repeatMs = 500

async function serve(port: number): Promise<void> {
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end(socket.remoteAddress ?? '')
  })
  tcp.listen(port, '0.0.0.0')
  await once(tcp, 'listening')
  const udp = createSocket('udp4', (_question, { address, port: from }) => {
    udp.send(address, from, address)
  })
  udp.bind(port)
  await once(udp, 'listening')
  process.stdout.write('ready\n')
}

async function askTcp(host: string, port: number): Promise<string> {
  const socket = connect({ host, port, signal: AbortSignal.timeout(answerTimeoutMs) })
  return await text(socket)
}

/** Asks again and again: a datagram may be lost while a neighbour is being looked for. */
async function askUdp(host: string, port: number): Promise<string> {
  const socket = createSocket('udp4')
  const repeat = setInterval(() => socket.send('who am I?', port, host), repeatMs)
  try {
    socket.send('who am I?', port, host)
    const message: unknown[] = await once(socket, 'message', { signal: AbortSignal.timeout(answerTimeoutMs) })
    return String(message[0])
  } finally {
    clearInterval(repeat)
    socket.close()
  }
}

async function askHttp(host: string, port: number): Promise<string> {
  const answer = await fetch(`http://${host}:${port}/cgi-bin/peer`, { signal: AbortSignal.timeout(answerTimeoutMs) })
  if (!answer.ok) throw new Error(`status ${answer.status}`)
  return await answer.text()
}

const askers: Readonly<Record<string, (host: string, port: number) => Promise<string>>> = {
  tcp: askTcp,
  udp: askUdp,
  http: askHttp,
}

const [mode, ...rest] = process.argv.slice(2)
if (mode === 'serve') {
  await serve(Number(rest[0]))
} else {
  const [protocol = '', host = '', port] = rest
  try {
    process.stdout.write((await askers[protocol]?.(host, Number(port))) ?? '')
  } catch (error) {
    process.stderr.write(`${inspect(error)}\n`)
    process.exitCode = 1
  }
}
