import { describe, expect, it, test } from 'vitest'
import type { Taint } from '../../kube/node.ts'
import { planNetworkCondition, planTaintRemoval } from './node-readiness.ts'

const ours = { key: 'vcn-cni/not-ready', effect: 'NoSchedule' }
const alsoOurs = { key: 'vcn-cni/not-ready', effect: 'NoExecute', value: 'true' }
const other = { key: 'example.com/other', effect: 'NoSchedule' }

describe('planTaintRemoval', () => {
  test.each<[what: string, taints: readonly Taint[], operations: readonly string[]]>([
    ['a node without taints', [], []],
    ['somebody else’s taint', [other], []],
    ['ours alone', [ours], ['test /spec/taints/0/key', 'test /spec/taints/0/effect', 'remove /spec/taints/0']],
    [
      'ours behind another one',
      [other, ours],
      ['test /spec/taints/1/key', 'test /spec/taints/1/effect', 'remove /spec/taints/1'],
    ],
    [
      'two of ours: from the last one, as positions move',
      [ours, other, alsoOurs],
      [
        ...['test /spec/taints/2/key', 'test /spec/taints/2/effect', 'remove /spec/taints/2'],
        ...['test /spec/taints/0/key', 'test /spec/taints/0/effect', 'remove /spec/taints/0'],
      ],
    ],
  ])('of %s', (_what, taints, operations) => {
    expect(planTaintRemoval({ taints }).map(({ op, path }) => `${op} ${path}`)).toEqual(operations)
  })
})

describe('planNetworkCondition', () => {
  it('takes back what a cloud controller has said', () => {
    expect(planNetworkCondition({ conditions: [{ type: 'NetworkUnavailable', status: 'True' }] }, 1234)).toEqual({
      status: {
        conditions: [
          {
            type: 'NetworkUnavailable',
            status: 'False',
            reason: 'VcnCniReady',
            message: 'vcn-cni serves pods on this node',
            lastTransitionTime: '1970-01-01T00:00:01Z',
            lastHeartbeatTime: '1970-01-01T00:00:01Z',
          },
        ],
      },
    })
  })

  test.each([
    ['nobody has said anything', []],
    ['it is false already', [{ type: 'NetworkUnavailable', status: 'False' }]],
    ['another condition is true', [{ type: 'MemoryPressure', status: 'True' }]],
  ])('says nothing where %s', (_what, conditions) => {
    expect(planNetworkCondition({ conditions }, 0)).toBeUndefined()
  })
})
