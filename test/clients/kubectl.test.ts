import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { KubeApiServer } from '../../src/lab/kube-api/server.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Every kubectl of this machine: the one in PATH, those beside it for other versions, those named in KUBECTLS. */
function kubectls(): readonly string[] {
  const versioned = '/usr/lib/google-cloud-sdk/bin'
  const beside = existsSync(versioned)
    ? readdirSync(versioned)
        .filter((name) => /^kubectl\.1\.(27|33)$/.test(name))
        .map((name) => join(versioned, name))
    : []
  return [
    ...(process.env['KUBECTLS'] ?? '').split(':').filter((path) => path !== ''),
    ...(beside.length > 0 ? beside : ['kubectl']),
  ]
}

const directory = mkdtempSync(join(tmpdir(), 'vcn-kubectl-'))
const kubeconfig = join(directory, 'kubeconfig')
let server: KubeApiServer

beforeAll(async () => {
  server = await KubeApiServer.start({ tls: true })
  writeFileSync(kubeconfig, server.kubeconfig())
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

const crdFile = join(import.meta.dirname, '../../deploy/crd.yaml')
const crdName = (parse(readFileSync(crdFile, 'utf8')) as { metadata: { name: string } }).metadata.name

function webPod(image: string): object {
  const spec = { containers: [{ name: 'web', image, ports: [{ containerPort: 80 }] }] }
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', labels: { app: 'web' } }, spec }
}

const service = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
}

describe.each(kubectls())('%s', (program) => {
  const base = ['--kubeconfig', kubeconfig, '--cache-dir', mkdtempSync(join(directory, 'cache-'))]

  function kubectl(...args: readonly string[]): Promise<Ran> {
    return new Promise((resolve) => {
      execFile(program, [...base, ...args], { timeout: 20_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : 1, out, err })
      })
    })
  }

  async function succeeds(...args: readonly string[]): Promise<string> {
    const { code, out, err } = await kubectl(...args)
    expect({ code, err: code === 0 ? '' : err, args }).toEqual({ code: 0, err: '', args })
    return out
  }

  function manifest(name: string, ...objects: readonly object[]): string {
    const file = join(directory, `${name}.json`)
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
    return file
  }

  it('takes a pod and a service through apply, get, describe, label, patch and delete', async () => {
    const file = manifest('web', webPod('nginx:1'), service)
    expect(await succeeds('apply', '-f', file)).toMatch(/pod\/web created\nservice\/web created/)
    expect(await succeeds('apply', '-f', file)).toMatch(/pod\/web unchanged\nservice\/web unchanged/)
    expect(await succeeds('apply', '-f', manifest('web2', webPod('nginx:2')))).toMatch(/pod\/web configured/)
    expect(await succeeds('get', 'pod', 'web', '-o', 'jsonpath={.spec.containers[*].image}')).toBe('nginx:2')
    const wide = await succeeds('get', 'all', '-o', 'wide')
    expect(wide).toMatch(/NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/)
    expect(wide).toMatch(/service\/web +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP/)
    await succeeds('label', 'pod', 'web', 'tier=front')
    await succeeds('annotate', 'pod', 'web', 'note=x')
    expect(await succeeds('get', 'pods', '-l', 'tier=front', '-o', 'name')).toBe('pod/web\n')
    expect(await succeeds('describe', 'pod', 'web')).toMatch(/Labels: +app=web\n +tier=front/)
    await succeeds('patch', 'service', 'web', '-p', '{"spec":{"ports":[{"port":80,"name":"http"}]}}')
    expect(await succeeds('get', 'svc', 'web', '-o', 'jsonpath={.spec.ports}')).toContain('"name":"http"')
    expect(await succeeds('delete', '-f', file)).toMatch(/pod "web" deleted/)
    expect((await kubectl('get', 'pod', 'web')).err).toContain('pods "web" not found')
  })

  it('registers the project’s own resource and shows it by its short name', async () => {
    await succeeds('apply', '-f', crdFile)
    await succeeds('wait', '--for=condition=Established', '--timeout=10s', `crd/${crdName}`)
    // kubectl 1.20 looks short names up in what it cached before; a name that it must look for refreshes that.
    await succeeds('get', 'nativepodnetworks')
    expect(await succeeds('get', 'npn')).toBe('')
    expect(await succeeds('api-resources', '--api-group=oci.oraclecloud.com')).toMatch(/nativepodnetworks +npn,npns/)
    expect(await succeeds('explain', 'npn.spec')).toContain('podSubnetIds')
    await succeeds('delete', '-f', crdFile)
  })

  it('names a misspelt field and refuses it', async () => {
    const { code, err } = await kubectl(
      'create',
      '-f',
      manifest('typo', { ...service, spec: { ...service.spec, selectr: {} } }),
    )
    expect(code).toBe(1)
    expect(err).toMatch(/unknown field "(spec\.)?selectr"/)
  })

  it('watches, and sees what happens', async () => {
    const watching = spawn(program, [...base, 'get', 'configmaps', '--watch', '-o', 'name'])
    try {
      const before = server.watchCount
      let out = ''
      const seen = new Promise<void>((resolve) => {
        watching.stdout.on('data', (chunk: Buffer) => {
          out += chunk.toString()
          if (out.includes('configmap/watched')) resolve()
        })
      })
      while (server.watchCount === before) await new Promise((resolve) => setTimeout(resolve, 20))
      await succeeds('create', 'configmap', 'watched', '--from-literal=a=b')
      await seen
      expect(out).toContain('configmap/watched')
    } finally {
      watching.kill()
      await kubectl('delete', 'configmap', 'watched')
    }
  })

  it('cordons, taints and describes a node, and deletes a namespace with what is in it', async () => {
    await succeeds('create', '-f', manifest('node', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } }))
    await succeeds('cordon', 'n1')
    await succeeds('taint', 'node', 'n1', 'a=b:NoSchedule')
    expect(await succeeds('get', 'nodes')).toMatch(/n1 +Unknown,SchedulingDisabled/)
    expect(await succeeds('describe', 'node', 'n1')).toMatch(/Taints: +a=b:NoSchedule/)
    await succeeds('delete', 'node', 'n1')
    await succeeds('create', 'namespace', 'short')
    await succeeds('create', 'configmap', 'inside', '-n', 'short')
    await succeeds('delete', 'namespace', 'short')
    expect(server.store.list('configmaps', 'short')).toEqual([])
  })
})
