import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

// Made with openssl: Node cannot make certificates.
const openssl = promisify(execFile)
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const authoritySubject = '/CN=vcn-cni lab mesh'
const validDays = '30'

/** Paths of PEM files; the key is for root alone. */
export interface IdentityFiles {
  readonly key: string
  readonly certificate: string
  readonly authority: string
}

/** The mesh's certificate authority, made when it is first needed. */
export async function ensureAuthority(directory: string): Promise<IdentityFiles> {
  const files = filesOf(directory, 'authority')
  if (existsSync(files.certificate)) return files
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  await using made = await Workspace.open(directory)
  const [key, certificate] = [made.file('key'), made.file('certificate')]
  const usage = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign']
  await openssl('openssl', [
    ...['req', '-x509', ...newKey, '-keyout', key, '-out', certificate],
    ...['-subj', authoritySubject, '-days', validDays, ...usage],
  ])
  await rename(key, files.key)
  // Last: where it is, all is there.
  await rename(certificate, files.certificate)
  return files
}

/** A certificate for one pod, whose name is in it as SPIFFE has it: spiffe://lab/ns/NAMESPACE/pod/NAME. */
export async function issueIdentity(directory: string, namespace: string, pod: string): Promise<IdentityFiles> {
  const authority = await ensureAuthority(directory)
  const files = { ...filesOf(directory, `${namespace}_${pod}`), authority: authority.certificate }
  await using made = await Workspace.open(directory)
  const [key, request, certificate] = [made.file('key'), made.file('request'), made.file('certificate')]
  const extensions = made.file('extensions')
  const names = `subjectAltName=URI:${identityOf(namespace, pod)}`
  writeFileSync(extensions, `${names}\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n`)
  await openssl('openssl', ['req', '-new', ...newKey, '-keyout', key, '-out', request, '-subj', '/CN=pod'])
  await openssl('openssl', [
    ...['x509', '-req', '-in', request, '-out', certificate, '-days', validDays, '-extfile', extensions],
    ...['-CA', authority.certificate, '-CAkey', authority.key, '-set_serial', `0x${serial()}`],
  ])
  await rename(key, files.key)
  await rename(certificate, files.certificate)
  return files
}

export function identityOf(namespace: string, pod: string): string {
  return `spiffe://lab/ns/${namespace}/pod/${pod}`
}

function filesOf(directory: string, name: string): IdentityFiles {
  const certificate = join(directory, `${name}.pem`)
  return { key: join(directory, `${name}.key`), certificate, authority: certificate }
}

function serial(): string {
  return `${Date.now().toString(16)}${Math.floor(Math.random() * 0xffff_ffff).toString(16)}`
}

/** A directory for files that are not complete yet. */
class Workspace implements AsyncDisposable {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  static async open(parent: string): Promise<Workspace> {
    return new Workspace(await mkdtemp(join(parent, 'making-')))
  }

  file(name: string): string {
    return join(this.#path, name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { recursive: true, force: true })
  }
}
