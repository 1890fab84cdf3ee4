// Writes iproute2-requests.json and kernel-answers.json beside this file: what iproute2 sends for known commands, and
// what the kernel answers, as strace sees it. Run as root when either should be renewed: node src/linux/testdata/capture.ts
// What the bytes mean is not taken from our decoder: it stands beside each command, written by hand.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { release } from 'node:os'
import { writeFileSync } from 'node:fs'
import { answers, preparation, requests } from './capture-commands.ts'

const suffix = randomBytes(4).toString('hex')
/** Both with a fixed stand-in in what is written, so that a new capture differs only where the bytes do. */
const names = { NODE: `vcnt-${suffix}-node`, POD: `vcnt-${suffix}-pod` } as const

interface Exchange {
  readonly sent: string
  /** One hex string a datagram. */
  readonly received: readonly string[]
}

function run(command: string): void {
  execFileSync('ip', ['netns', 'exec', names.NODE, 'sh', '-c', withNames(command)])
}

function withNames(command: string): string {
  return command.replaceAll('NODE', names.NODE).replaceAll('POD', names.POD)
}

/** The netlink conversation of a command: -e write and -e read make strace dump all data in full. */
function exchangesOf(command: string): readonly Exchange[] {
  const strace = ['strace', '-e', 'trace=sendmsg,sendto,recvmsg', '-e', 'write=all', '-e', 'read=all', '-s', '0']
  const words = ['netns', 'exec', names.NODE, ...strace, ...withNames(command).split(' ')]
  const { stderr } = spawnSync('ip', words, { encoding: 'utf8' })
  const exchanges: { sent: string; received: string[] }[] = []
  for (const block of stderr.split(/^(?=send|recv)/m)) {
    // "| 00010  12 34 …  text |": the offset, up to sixteen bytes, the same as text.
    const hex = [...block.matchAll(/^ \| [0-9a-f]+ {2}([0-9a-f ]{48})/gm)].map(([, bytes = '']) => bytes).join('')
    const bytes = hex.replaceAll(' ', '')
    if (block.startsWith('send')) exchanges.push({ sent: bytes, received: [] })
    else if (bytes !== '') exchanges.at(-1)?.received.push(bytes)
  }
  return exchanges
}

/** The last exchange whose request is of the type: iproute2 asks for interface indexes first. */
function exchangeOf(command: string, messageType: number): Exchange {
  const found = exchangesOf(command).findLast(({ sent }) => Buffer.from(sent, 'hex').readUInt16LE(4) === messageType)
  if (found === undefined) throw new Error(`"${command}" sent no message of type ${messageType}`)
  return found
}

function write(file: string, content: object): void {
  const tool = execFileSync('ip', ['-V'], { encoding: 'utf8' }).trim()
  const document = { capturedWith: `${tool}, Linux ${release()}`, ...content }
  writeFileSync(new URL(file, import.meta.url), `${JSON.stringify(document, null, 2)}\n`)
}

execFileSync('ip', ['netns', 'add', names.NODE])
try {
  execFileSync('ip', ['netns', 'add', names.POD])
  write('iproute2-requests.json', {
    requests: requests.map((row) => {
      for (const command of row.before ?? []) run(command)
      const { command, messageType, operation, arguments: values } = row
      return { command, operation, arguments: values, hex: exchangeOf(command, messageType).sent }
    }),
  })
  for (const command of preparation) run(command)
  write('kernel-answers.json', {
    answers: answers.map(({ command, messageType, means }) => {
      return { command, means, hex: exchangeOf(command, messageType).received }
    }),
  })
} finally {
  for (const name of Object.values(names)) spawnSync('ip', ['netns', 'delete', name])
}
