import { expect, it } from 'vitest'
import { DropCounts, type PodDrops } from './drop-counts.ts'

const pods: Readonly<Record<string, string>> = { ocia: 'default/a', ocib: 'default/b', ocib2: 'default/b' }
const podOf = (ifname: string): string | undefined => pods[ifname]

/** `pod packets`; `?` for who is not known. */
function read(counts: DropCounts, drops: Readonly<Record<string, number>>): readonly string[] {
  const list = Object.entries(drops).map(([ifname, packets]) => ({ ifname, packets }))
  return counts.read('ingress', list, podOf).map(({ pod = '?', packets }: PodDrops) => `${pod} ${packets}`)
}

it('grows as the kernel’s counters do, and adds up a pod’s interfaces', () => {
  const counts = new DropCounts()
  expect(read(counts, { ocia: 0, ocib: 3, ocib2: 4 })).toEqual(['default/a 0', 'default/b 7'])
  expect(read(counts, { ocia: 2, ocib: 3, ocib2: 9 })).toEqual(['default/a 2', 'default/b 12'])
})

it('goes on where the kernel begins anew, whether its counters are lower or higher by then', () => {
  const counts = new DropCounts()
  read(counts, { ocia: 5, ocib: 5 })
  expect(read(counts, { ocia: 2, ocib: 5 })).toEqual(['default/a 7', 'default/b 5'])
  counts.restarted()
  expect(read(counts, { ocia: 9, ocib: 6 })).toEqual(['default/a 16', 'default/b 11'])
})

it('keeps what a pod had that left, and adds what its successor has', () => {
  const counts = new DropCounts()
  read(counts, { ocia: 5, ocib: 0 })
  counts.left('ocia')
  expect(read(counts, { ocia: 9, ocib: 0 })).toEqual(['default/a 14', 'default/b 0'])
  expect(read(counts, {})).toEqual(['default/a 14'])
  expect(read(counts, { ocia: 1 })).toEqual(['default/a 15'])
})

it('adds up interfaces that nobody knows the pod of', () => {
  expect(read(new DropCounts(), { ocix: 1, ociy: 2 })).toEqual(['? 3'])
})

it('counts each reason for itself', () => {
  const counts = new DropCounts()
  read(counts, { ocia: 5 })
  expect(counts.read('egress', [{ ifname: 'ocia', packets: 1 }], podOf)).toEqual([{ pod: 'default/a', packets: 1 }])
})

it('forgets the oldest of thousands of pods that left', () => {
  const counts = new DropCounts()
  const name = (index: number): string => `pod-${index}`
  for (let index = 0; index < 1002; index++) {
    counts.read('ingress', [{ ifname: `oci${index}`, packets: 1 }], () => name(index))
  }
  const kept = counts.read('ingress', [], podOf).map(({ pod }) => pod)
  expect(kept).toHaveLength(1000)
  expect(kept[0]).toBe(name(2))
})
