import { readFileSync } from 'node:fs'
import * as link from './link.ts'
import * as address from './address.ts'
import * as route from './route.ts'
import * as rule from './rule.ts'
import * as neigh from './neighbour.ts'
import { encodeRequests } from './wire.ts'
const all: any = { ...link, ...address, ...route, ...rule, ...neigh }
const doc = JSON.parse(readFileSync(new URL('../testdata/iproute2-requests.json', import.meta.url), 'utf8'))
for (const r of doc.requests) {
  const theirs = Buffer.from(r.hex, 'hex')
  const ours = encodeRequests([all[r.operation](...r.arguments)], theirs.readUInt32LE(8), 4)
  console.log(ours.equals(theirs) ? 'SAME' : 'DIFF', r.command)
  if (!ours.equals(theirs)) { console.log('  ours  ', ours.toString('hex')); console.log('  theirs', r.hex) }
}
