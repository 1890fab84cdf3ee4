// Writes conntrack-messages.json beside this file: what conntrack(8) sends for known commands, what the kernel answers,
// and what conntrack prints of it. Run as root when it should be renewed: node src/linux/testdata/capture-conntrack.ts
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { traceNetlink } from './strace.ts'

const preparation = [
  'conntrack -I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 4000 --dport 53 --dst-nat 10.0.0.2:5353 -t 3000 -m 7',
  'conntrack -I -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 4000 --dport 53 -t 3000 -w 5',
  'conntrack -I -p tcp -s 10.0.0.1 -d 10.96.0.10 --sport 4001 --dport 80 -t 3000 --state ESTABLISHED -u ASSURED,SEEN_REPLY',
  'conntrack -I -p sctp -s 10.0.0.1 -d 10.0.0.2 --sport 4002 --dport 9 -t 3000 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2',
  'conntrack -I -p icmp -s 10.0.0.1 -d 10.0.0.2 --icmp-type 8 --icmp-code 0 --icmp-id 7 -t 3000',
  'conntrack -I -p gre -s 10.0.0.1 -d 10.0.0.2 --srckey 11 --dstkey 12 -t 3000',
  'conntrack -I -p udp -s fd00::1 -d fd00:96::a --sport 4000 --dport 53 --dst-nat [fd00::2]:5353 -t 3000',
  'conntrack -I -p icmpv6 -s fd00::1 -d fd00::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7 -t 3000',
]

const commands = [
  'conntrack -L -f ipv4 -o extended,id',
  'conntrack -L -f ipv6 -o extended,id',
  'conntrack -L -f ipv4 -m 0x7/0xff -o extended,id',
  'conntrack -C',
  'conntrack -S',
  'conntrack -D -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 4000 --dport 53 -w 5 -o extended,id',
  'conntrack -D -p udp -s 10.0.0.1 -d 10.96.0.10 --sport 4000 --dport 53 -o extended,id',
  'conntrack -D -p tcp -s 10.0.0.1 -d 10.96.0.10 --sport 4001 --dport 80 -o extended,id',
  'conntrack -D -p sctp -s 10.0.0.1 -o extended,id',
  'conntrack -D -p icmp -s 10.0.0.1 -o extended,id',
  'conntrack -D -p gre -s 10.0.0.1 -o extended,id',
  'conntrack -D -f ipv6 -p udp -s fd00::1 -o extended,id',
  'conntrack -D -f ipv6 -p icmpv6 -s fd00::1 -o extended,id',
]

const netns = `vcnt-${randomBytes(4).toString('hex')}`
execFileSync('ip', ['netns', 'add', netns])
try {
  for (const command of preparation) execFileSync('ip', ['netns', 'exec', netns, ...command.split(' ')], { stdio: 'pipe' })
  const conversations = commands.map((command) => ({ command, ...traceNetlink(netns, command.split(' ')) }))
  const tool = execFileSync('conntrack', ['--version'], { encoding: 'utf8' }).trim()
  const document = { capturedWith: `${tool}, Linux ${release()}`, conversations }
  writeFileSync(new URL('conntrack-messages.json', import.meta.url), `${JSON.stringify(document, null, 2)}\n`)
} finally {
  spawnSync('ip', ['netns', 'delete', netns])
}
