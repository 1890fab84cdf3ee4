import { readFileSync, statSync } from 'node:fs'

/** A small file that somebody else replaces now and then, such as a token: read again when it has changed. */
export class FreshFile {
  readonly path: string
  #version: string | undefined
  #text = ''

  constructor(path: string) {
    this.path = path
  }

  /** Throws what the file system refuses. */
  read(): string {
    // Kubelet replaces projected tokens by moving a symbolic link: the inode changes even when the time does not.
    const { ino, mtimeNs, size } = statSync(this.path, { bigint: true })
    const version = `${ino} ${mtimeNs} ${size}`
    if (version !== this.#version) {
      this.#text = readFileSync(this.path, 'utf8')
      this.#version = version
    }
    return this.#text
  }
}
