import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface ServerCertificate {
  readonly key: string
  readonly cert: string
}

/** A certificate that is its own authority, made with openssl: Node cannot make one. */
export async function createCertificate(host: string): Promise<ServerCertificate> {
  const directory = await mkdtemp(join(tmpdir(), 'vcn-lab-kube-api-'))
  try {
    const [keyFile, certFile] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const isAddress = /^[\d.]+$|:/.test(host)
    const names = `subjectAltName=DNS:localhost,IP:127.0.0.1,${isAddress ? 'IP' : 'DNS'}:${host}`
    const subject = ['-subj', '/CN=vcn-cni lab', '-addext', names, '-days', '3650', '-nodes']
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-keyout', keyFile]
    await promisify(execFile)('openssl', ['req', '-x509', ...key, ...subject, '-out', certFile])
    return { key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** A kubeconfig's text. It is JSON, which every reader of YAML reads. */
export function renderKubeconfig(access: {
  readonly url: string
  readonly token: string
  readonly certificate: ServerCertificate | undefined
}): string {
  const authority = access.certificate && Buffer.from(access.certificate.cert).toString('base64')
  // @kubernetes/client-node speaks plain http only to a server whose certificate need not be verified.
  const trust =
    authority === undefined ? { 'insecure-skip-tls-verify': true } : { 'certificate-authority-data': authority }
  const cluster = { server: access.url, ...trust }
  const name = 'vcn-lab'
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user: { token: access.token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  }
  return `${JSON.stringify(config, null, 2)}\n`
}
