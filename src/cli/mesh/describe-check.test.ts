import { describe, expect, it } from 'vitest'
import type { MeshCheck } from '../../agent/mesh/mesh-check.ts'
import { describeMeshCheck, meshProblems } from './describe-check.ts'

const target = '192.0.2.2:1404'
const meshed: MeshCheck = {
  version: 1,
  node: 'n1',
  pod: 'shop/web',
  profile: 'istio',
  kind: 'redirect',
  decision: 'redirected, profile istio',
  installer: 'vcn-mesh',
  table: 'as planned',
  probe: { target, outcome: 'accepted', redirectedTo: 15_001 },
  probeLeadsTo: 15_001,
}
const plain: MeshCheck = {
  version: 1,
  node: 'n1',
  pod: 'shop/web',
  kind: 'none',
  decision: 'not redirected: it has no sidecar',
  installer: 'nobody',
  table: 'not wanted',
  probe: { target, outcome: 'silence' },
}
const byInit: MeshCheck = {
  ...plain,
  decision: 'not redirected: its init container istio-init does it',
  doneBy: 'istio-init',
  installer: 'istio',
  probe: meshed.probe,
}
const withoutLead = (check: MeshCheck): MeshCheck => {
  const { probeLeadsTo: _, ...rest } = check
  return rest
}

describe('all is well with', () => {
  it.each<[string, MeshCheck]>([
    ['a pod whose sidecar takes the connection', meshed],
    ['a pod without a sidecar', plain],
    ['one that istio-init has redirected', byInit],
    ['one whose namespace had rules of Istio before ours', { ...meshed, installer: 'istio', table: 'missing' }],
    ['one that leaves the address of the probe alone', withoutLead({ ...meshed, probe: plain.probe })],
  ])('%s', (_, check) => {
    expect(meshProblems(check)).toEqual([])
  })
})

describe('what is wrong is told', () => {
  const refused: MeshCheck['probe'] = { target, outcome: 'refused' }
  it.each<[string, MeshCheck, RegExp]>([
    [
      'the sidecar does not run',
      { ...meshed, probe: refused },
      /^nobody listens on port 15001: the sidecar does not run$/,
    ],
    ['nor does that of others’ rules', { ...byInit, probe: refused }, /the sidecar does not run$/],
    [
      'the sidecar takes no connections',
      { ...meshed, probe: { target, outcome: 'silence', redirectedTo: 15_001 } },
      /^on port 15001 nobody answers: the sidecar hangs$/,
    ],
    ['the rules do not bite', { ...meshed, probe: plain.probe }, /^the connection was not redirected to port 15001/],
    [
      'it went to another sidecar',
      { ...meshed, probe: { target, outcome: 'accepted', redirectedTo: 4140 } },
      /^the connection was redirected to port 4140, not 15001: by somebody else's rules$/,
    ],
    [
      'the table is gone',
      { ...meshed, installer: 'nobody', table: 'missing', probe: plain.probe },
      /vcn-mesh is missing/,
    ],
    [
      'the table is another one',
      { ...meshed, table: 'different' },
      /not as planned: the pod's annotations have changed/,
    ],
    ['the table has no reason', { ...plain, installer: 'vcn-mesh', table: 'unwanted' }, /is there, though nothing/],
    [
      'the annotations cannot be followed',
      { ...plain, kind: 'invalid', decision: 'pod shop/web: annotation …' },
      /^its annotations cannot be followed/,
    ],
    [
      'others have not done it',
      { ...byInit, doneBy: 'istio-cni', installer: 'nobody' },
      /^istio-cni is to redirect its traffic, but has made no rules$/,
    ],
  ])('%s', (_, check, problem) => {
    expect(meshProblems(check)).toEqual([expect.stringMatching(problem)])
  })
})

describe('for people', () => {
  it('a meshed pod', () => {
    expect(describeMeshCheck(meshed)).toBe(
      [
        'pod       shop/web on node n1',
        'decision  redirected, profile istio',
        'rules     by vcn-mesh, as planned',
        'probe     a connection to 192.0.2.2:1404: led to port 15001, accepted',
        '',
      ].join('\n'),
    )
  })

  it('one whose sidecar does not run', () => {
    expect(describeMeshCheck({ ...meshed, probe: { target, outcome: 'refused' } })).toMatch(
      /probe {5}a connection to 192\.0\.2\.2:1404: refused\nproblem: nobody listens on port 15001: .*\n$/,
    )
  })

  it.each<[string, Partial<MeshCheck>]>([
    ['by Istio (istio-init or istio-cni)', { installer: 'istio' }],
    ['by Linkerd (linkerd-init or linkerd-cni)', { installer: 'linkerd' }],
    ['by nobody', { installer: 'nobody' }],
    ['by vcn-mesh, but not as planned', { table: 'different' }],
    ['by vcn-mesh, though it has nothing to do here', { table: 'unwanted' }],
  ])('rules %s', (text, change) => {
    expect(describeMeshCheck({ ...meshed, ...change })).toContain(`\nrules     ${text}\n`)
  })
})
