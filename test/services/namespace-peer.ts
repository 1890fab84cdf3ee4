// A program, not a module: run by service-node.ts in a namespace, it serves and asks as it is told, a JSON line each.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'

interface Question {
  readonly protocol: 'TCP' | 'UDP'
  readonly host: string
  readonly port: number
  readonly source?: string
  /** Then nobody answers. */
  readonly patienceMs: number
}
const ports = [8080, 8443]

// Every server says which of its addresses was called, and from where.
const listening = ports.flatMap((port) => {
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.end(`${socket.localAddress}:${port} ${socket.remoteAddress}`)
  }).listen(port, '0.0.0.0')
  const udps = process.argv.slice(2).map((address) => {
    const udp = createSocket('udp4', (_question, from) => {
      udp.send(`${address}:${port} ${from.address}`, from.port, from.address)
    })
    return udp.bind(port, address)
  })
  return [tcp, ...udps].map((server) => once(server, 'listening'))
})
await Promise.all(listening)
process.stdout.write('listening\n')

function askTcp({ host, port: to, source, patienceMs }: Question): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: to, ...(source !== undefined && { localAddress: source }) })
    let heard = ''
    socket.setTimeout(patienceMs, () => {
      socket.destroy()
      resolve('silence')
    })
    socket.on('data', (chunk) => (heard += chunk.toString()))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
    socket.on('close', () => resolve(heard))
  })
}

function askUdp({ host, port: to, source, patienceMs }: Question): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    const end = (answer: string): void => {
      clearTimeout(timer)
      socket.close()
      resolve(answer)
    }
    const timer = setTimeout(() => end('silence'), patienceMs)
    socket.on('message', (message) => end(message.toString()))
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'error'))
    // Connected: only then is a refusal told.
    socket.on('connect', () => socket.send('who am I?'))
    socket.bind(0, source ?? '0.0.0.0', () => socket.connect(to, host))
  })
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line) as Question
  const answer = question.protocol === 'TCP' ? await askTcp(question) : await askUdp(question)
  process.stdout.write(`${answer}\n`)
}
process.exit(0)
