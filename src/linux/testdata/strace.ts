import { spawnSync } from 'node:child_process'

/** A netlink request of a program, and what the kernel answered. */
export interface Exchange {
  readonly sent: string
  /** One hex string a datagram. */
  readonly received: readonly string[]
}

/** The netlink conversations of a command, and what it printed: -e write and -e read make strace dump all data in full. */
export function traceNetlink(
  netns: string,
  command: readonly string[],
): { readonly exchanges: readonly Exchange[]; readonly printed: string } {
  const strace = ['strace', '-e', 'trace=sendmsg,sendto,recvmsg', '-e', 'write=all', '-e', 'read=all', '-s', '0']
  const { stdout, stderr } = spawnSync('ip', ['netns', 'exec', netns, ...strace, ...command], { encoding: 'utf8' })
  const exchanges: { descriptor: string | undefined; sent: string; received: string[] }[] = []
  for (const block of stderr.split(/^(?=send|recv)/m)) {
    // "| 00010  12 34 …  text |": the offset, up to sixteen bytes, the same as text.
    const hex = [...block.matchAll(/^ \| [0-9a-f]+ {2}([0-9a-f ]{48})/gm)].map(([, bytes = '']) => bytes).join('')
    const bytes = hex.replaceAll(' ', '')
    // In the middle of a dump iproute2 asks for the names of interfaces, on another socket.
    const [, descriptor] = /^\w+\((\d+)/.exec(block) ?? []
    if (block.startsWith('send')) exchanges.push({ descriptor, sent: bytes, received: [] })
    else if (bytes !== '') exchanges.findLast((exchange) => exchange.descriptor === descriptor)?.received.push(bytes)
  }
  return { exchanges, printed: stdout }
}
