import { expect, it } from 'vitest'
import { parseCapture } from './capture.ts'

// Printed by tcpdump 4.99.3 (Debian 12) for `-i any -n -tt -v --time-stamp-precision=nano`.
const printed = `\
1795442445.421494153 oci0761ccbeace In  IP (tos 0x0, ttl 64, id 31670, offset 0, flags [DF], proto ICMP (1), length 805)
    10.0.5.215 > 10.0.5.64: ICMP echo request, id 30807, seq 1, length 785
1795442445.021560426 ens5  Out IP (tos 0x0, ttl 63, id 31670, offset 0, flags [DF], proto ICMP (1), length 805)
    10.0.5.215 > 10.0.5.64: ICMP echo request, id 30807, seq 1, length 785
`

it('reads interface, direction, addresses, TTL and time of each packet', () => {
  expect(parseCapture(printed, 'node n')).toEqual([
    {
      atNs: 1_795_442_445_421_494_153n,
      place: 'node n',
      ifname: 'oci0761ccbeace',
      direction: 'in',
      source: '10.0.5.215',
      destination: '10.0.5.64',
      ttl: 64,
    },
    {
      atNs: 1_795_442_445_021_560_426n,
      place: 'node n',
      ifname: 'ens5',
      direction: 'out',
      source: '10.0.5.215',
      destination: '10.0.5.64',
      ttl: 63,
    },
  ])
})

it('tells the ports of a TCP segment', () => {
  const segment = `\
1795442445.421494153 ens5  Out IP (tos 0x0, ttl 63, id 5402, offset 0, flags [DF], proto TCP (6), length 60)
    10.0.5.215.43210 > 10.0.5.64.8080: Flags [S], cksum 0x2012 (incorrect -> 0x93a1), seq 1, win 62727, options [mss 8960], length 0
`
  expect(parseCapture(segment, 'node n')).toMatchObject([{ source: '10.0.5.215:43210', destination: '10.0.5.64:8080' }])
})

it('sees nothing where nothing was captured', () => {
  expect(parseCapture('', 'node n')).toEqual([])
})
