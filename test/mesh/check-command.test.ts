// `vcnctl mesh check`, from its command line to its exit code, against an agent of production.
import { expect, it, vi } from 'vitest'
import { vcnctlPath } from '../../src/cli/project-root.ts'
import { run } from '../clients/run-process.ts'
import { istioPod, MeshedNode } from './meshed-node.ts'

vi.setConfig({ testTimeout: 60_000 })

it('tells by its exit code whether all is well', async () => {
  await using node = await MeshedNode.start()
  const { socketPath } = node.cluster.node
  const check = (...args: readonly string[]) => run([vcnctlPath, 'mesh', 'check', ...args, '--socket', socketPath])
  await node.run('plain', {})
  await node.run('meshed', istioPod)

  const plain = await check('plain')
  expect(plain).toMatchObject({ code: 0, stderr: '' })
  expect(plain.stdout).toMatch(
    /^pod +default\/plain on node .*\ndecision +not redirected: it has no sidecar\nrules +by nobody\n/,
  )

  const meshed = await check('default/meshed')
  expect(meshed.code).toBe(1)
  expect(meshed.stdout).toMatch(/rules +by vcn-mesh, as planned\n.*\nproblem: nobody listens on port 15001/)
  const json = await check('meshed', '--json')
  expect(json.code).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({
    profile: 'istio',
    probeLeadsTo: 15_001,
    problems: [expect.stringContaining('the sidecar does not run')],
  })

  expect(await check('nobody')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no pod default/nobody') as unknown,
  })
  expect(await check('a/b/c')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('valid is NAMESPACE/POD') as unknown,
  })
  expect(await check()).toMatchObject({ code: 2 })
})
