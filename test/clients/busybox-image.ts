// A container image made from Debian's static busybox, without a registry.
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './run-process.ts'

/** Every container of the image answers HTTP on this port: `/cgi-bin/peer` with the address it is called from. */
export const httpPort = 8080
export const httpCommand = ['/bin/busybox', 'httpd', '-f', '-p', `0.0.0.0:${httpPort}`, '-h', '/www']

/** Writes the root file system as a tar; `podman import` takes it as it is. Returns its path. */
export async function buildRootfs(directory: string): Promise<string> {
  const root = join(directory, 'rootfs')
  for (const name of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'www/cgi-bin'])
    mkdirSync(join(root, name), { recursive: true })
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  symlinkSync('busybox', join(root, 'bin/sh'))
  const script = join(root, 'www/cgi-bin/peer')
  writeFileSync(script, '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n%s" "$REMOTE_ADDR"\n')
  chmodSync(script, 0o755)
  const layer = join(directory, 'layer.tar')
  await tar(layer, root, '.')
  return layer
}

/** Writes a docker archive (as `docker save` does), which `ctr images import` takes. Returns its path. */
export async function buildDockerArchive(directory: string, reference: string): Promise<string> {
  const layer = readFileSync(await buildRootfs(directory))
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: httpCommand, Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${createHash('sha256').update(layer).digest('hex')}`] },
  }
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config))
  const manifest = [{ Config: 'config.json', RepoTags: [reference], Layers: ['layer.tar'] }]
  writeFileSync(join(directory, 'manifest.json'), JSON.stringify(manifest))
  const archive = join(directory, 'image.tar')
  await tar(archive, directory, 'manifest.json', 'config.json', 'layer.tar')
  return archive
}

async function tar(archive: string, from: string, ...names: readonly string[]): Promise<void> {
  const { code, stderr } = await run(['tar', '--owner=0', '--group=0', '-C', from, '-cf', archive, ...names])
  if (code !== 0) throw new Error(`tar: ${stderr}`)
}
