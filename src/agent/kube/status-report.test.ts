import { describe, expect, it, test } from 'vitest'
import { unwrap } from '../../base/result.ts'
import { ip4 } from '../../datapath/plan.fixture.ts'
import { type NativePodNetwork, parseNativePodNetwork } from '../../kube/native-pod-network.ts'
import { classicSpec, classicStatus, elasticStatus } from '../../kube/native-pod-network.fixture.ts'
import { planReport, type StatusReport } from './status-report.ts'

function network(status: unknown): NativePodNetwork {
  return unwrap(parseNativePodNetwork({ metadata: { name: 'aaaa', resourceVersion: '7' }, spec: classicSpec, status }))
}

const nothing: StatusReport = { usedAddresses: 1, confirmable: new Set() }
const metadata = { resourceVersion: '7' }
const [marked] = elasticStatus.elastic.releases
const other = { ...marked, address: '10.0.4.7' }

describe('planReport', () => {
  test.each<[what: string, status: unknown, report: StatusReport]>([
    ['everything is there already', elasticStatus, nothing],
    ['what may go is not marked any more', elasticStatus, { ...nothing, confirmable: new Set([ip4('10.0.4.7')]) }],
    ['the status cannot be read', { ...elasticStatus, state: 'ODD' }, { ...nothing, usedAddresses: 5 }],
  ])('writes nothing when %s', (_what, status, report) => {
    expect(planReport(network(status), report)).toBeUndefined()
  })

  it('writes the number of addresses in use, and leaves the releases to whoever changes them', () => {
    expect(planReport(network(elasticStatus), { ...nothing, usedAddresses: 2 })).toEqual({
      metadata,
      status: { elastic: { usedAddresses: 2 } },
    })
    expect(planReport(network(classicStatus), { ...nothing, usedAddresses: 0 })).toEqual({
      metadata,
      status: { elastic: { usedAddresses: 0 } },
    })
  })

  it('confirms what may go, and writes the others as they are: a merge patch replaces lists', () => {
    const status = { ...elasticStatus, elastic: { ...elasticStatus.elastic, releases: [other, marked] } }
    expect(planReport(network(status), { ...nothing, confirmable: new Set([ip4('10.0.4.9')]) })).toEqual({
      metadata,
      status: { elastic: { usedAddresses: 1, releases: [other, { ...marked, state: 'Confirmed' }] } },
    })
  })
})
