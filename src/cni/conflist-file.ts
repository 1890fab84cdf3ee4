import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, copyFile, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Conflist, conflistFileName, planInstall, planRemoval } from './conflist.ts'

export type InstallOutcome =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'written' }
  /** What was there could not be read, for the reason `problem`; a copy of it is at `copyPath`. */
  | { readonly kind: 'replaced'; readonly problem: string; readonly copyPath: string }

export type RemovalOutcome =
  | { readonly kind: 'unchanged' }
  /** Others' entries are left in the file. */
  | { readonly kind: 'written' }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'unreadable'; readonly problem: string }

/** How often another program may change the file while we are about to, before we write all the same. */
const maxMergeAttempts = 5

/** Puts our entries into `directory`/10-vcn-cni.conflist. Throws what the file system refuses. */
export async function installConflist(directory: string, ours: Conflist): Promise<InstallOutcome> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const path = join(directory, conflistFileName)
  for (let attempt = 1; ; attempt++) {
    const text = await readIfPresent(path)
    const plan = planInstall(text?.toString('utf8'), ours)
    if (plan.kind === 'keep') return { kind: 'unchanged' }
    await using staged = await StagedFile.write(directory, conflistFileName, plan.text, 0o644)
    if (attempt < maxMergeAttempts && !isSame(text, await readIfPresent(path))) continue
    if (plan.kind === 'write') {
      await staged.publish()
      return { kind: 'written' }
    }
    // Runtimes read .conf, .conflist and .json only: under this name the copy is out of their sight.
    const copyPath = `${path}.unreadable`
    await copyFile(path, copyPath)
    await staged.publish()
    return { kind: 'replaced', problem: plan.problem, copyPath }
  }
}

/** Takes our entries out of it again, and the file away if nothing but portmap is left. Throws as above. */
export async function removeConflist(directory: string): Promise<RemovalOutcome> {
  const path = join(directory, conflistFileName)
  const plan = planRemoval((await readIfPresent(path))?.toString('utf8'))
  switch (plan.kind) {
    case 'keep':
      return { kind: 'unchanged' }
    case 'unreadable':
      return plan
    case 'delete':
      await rm(path, { force: true })
      await syncDirectory(directory)
      return { kind: 'deleted' }
    case 'write': {
      await using staged = await StagedFile.write(directory, conflistFileName, plan.text, 0o644)
      await staged.publish()
      return { kind: 'written' }
    }
  }
}

/** Copies the executable `source` to `directory`/`name`, unless the same is there already. Throws as above. */
export async function installExecutable(
  source: string,
  directory: string,
  name: string,
): Promise<'unchanged' | 'installed'> {
  const bytes = await readFile(source)
  const path = join(directory, name)
  if (isSame(bytes, await readIfPresent(path)) && (await isExecutable(path))) return 'unchanged'
  await mkdir(directory, { recursive: true, mode: 0o755 })
  await using staged = await StagedFile.write(directory, name, bytes, 0o755)
  await staged.publish()
  return 'installed'
}

const stagedSuffix = '.vcn-cni-staged'

/**
 * The new content of a file, complete and on the disk under another name in the same directory, until `publish` puts it
 * in place in one step: nobody ever sees half of it. It is closed by then, because the kernel does not execute a
 * file that someone has open for writing (ETXTBSY, execve(2)).
 */
class StagedFile implements AsyncDisposable {
  readonly #directory: string
  readonly #name: string
  readonly #path: string

  private constructor(directory: string, name: string) {
    this.#directory = directory
    this.#name = name
    this.#path = join(directory, `.${name}.${randomUUID()}${stagedSuffix}`)
  }

  static async write(directory: string, name: string, content: string | Buffer, mode: number): Promise<StagedFile> {
    await removeLeftovers(directory, name)
    const staged = new StagedFile(directory, name)
    try {
      await using file = await open(staged.#path, 'wx', 0o600)
      await file.writeFile(content)
      await file.chmod(mode)
      await file.sync()
      return staged
    } catch (cause) {
      await staged[Symbol.asyncDispose]()
      throw cause
    }
  }

  async publish(): Promise<void> {
    await rename(this.#path, join(this.#directory, this.#name))
    await syncDirectory(this.#directory)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#path, { force: true })
  }
}

/** Of a writer that was killed. One that still lives fails at its rename and is no worse off than if it had come second. */
async function removeLeftovers(directory: string, name: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    if (entry.startsWith(`.${name}.`) && entry.endsWith(stagedSuffix)) await rm(join(directory, entry), { force: true })
  }
}

/** A rename is on the disk when its directory is (fsync(2)). */
async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r')
  await handle.sync()
}

async function readIfPresent(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw cause
  }
}

function isSame(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b)
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
