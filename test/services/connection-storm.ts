// A program: connects as fast as it can, in several loops, to the addresses it is given, and hears each server out.
// Ends when its input does, and then writes `{ connections, failures }`.
import { connect } from 'node:net'

const [loopCount, port, ...hosts] = process.argv.slice(2)
const patienceMs = 20_000
const failures: string[] = []
let connections = 0
let isOver = false

function connectOnce(host: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) })
    let heard = ''
    socket.setTimeout(patienceMs, () => socket.destroy(new Error('silence')))
    socket.on('data', (chunk) => (heard += chunk.toString()))
    socket.on('error', (error) => failures.push(`${host}: ${error.message}`))
    socket.on('close', (hadError) => {
      if (heard !== '') connections++
      else if (!hadError) failures.push(`${host}: closed without a word`)
      resolve()
    })
  })
}

async function loop(first: number): Promise<void> {
  for (let index = first; !isOver; index++) await connectOnce(hosts[index % hosts.length] ?? '')
}

process.stdin.resume().on('end', () => (isOver = true))
await Promise.all(Array.from({ length: Number(loopCount) }, (_, index) => loop(index)))
process.stdout.write(JSON.stringify({ connections, failures }))
