import { close, openSync } from 'node:fs'
import * as libc from './libc.ts'

/** An owned descriptor: closed exactly once, when its `using` scope ends. */
export class Fd implements Disposable {
  #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  static open(path: string, flags: number): Fd {
    return new Fd(openSync(path, flags))
  }

  get number(): number {
    if (this.#fd < 0) throw new Error('this descriptor is closed')
    return this.#fd
  }

  get isOpen(): boolean {
    return this.#fd >= 0
  }

  [Symbol.dispose](): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    libc.close(fd)
  }

  /** For a descriptor that libuv is reading: close(2) on its thread, after the read. */
  closeLater(): void {
    if (this.#fd < 0) return
    close(this.#fd, () => undefined)
    this.#fd = -1
  }
}
