import { getSystemErrorMap } from 'node:util'
import koffi from 'koffi'

/** A system call that failed, with the C name of its errno. */
export class SystemError extends Error {
  override readonly name = 'SystemError'
  readonly syscall: string
  readonly errno: number
  readonly code: string

  constructor(syscall: string, errno: number, context = '') {
    const [code, text] = describeErrno(errno)
    super(`${syscall}: ${text} (${code})${context === '' ? '' : `, ${context}`}`)
    this.syscall = syscall
    this.errno = errno
    this.code = code
  }
}

const errnoTable = getSystemErrorMap()

/** libuv's table lacks some errno values of the kernel; those keep their number. */
export function describeErrno(errno: number): readonly [code: string, text: string] {
  return errnoTable.get(-errno) ?? extraErrno[errno] ?? [`E${errno}`, `error ${errno}`]
}

const extraErrno: Readonly<Record<number, readonly [string, string]>> = {
  [4]: ['EINTR', 'interrupted system call'],
  [33]: ['EDOM', 'argument out of range'],
  [117]: ['EUCLEAN', 'structure needs cleaning'],
}

const libc = koffi.load('libc.so.6')

// socket(2), bind(2), send(2), recv(2), setns(2), unshare(2), mount(2), umount2(2), flock(2), ioctl(2)
const rawSocket = libc.func('int socket(int domain, int type, int protocol)')
const rawBind = libc.func('int bind(int fd, const void *address, unsigned int length)')
const rawGetsockname = libc.func('int getsockname(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *length)')
const rawSetsockopt = libc.func('int setsockopt(int fd, int level, int name, const void *value, unsigned int length)')
const rawGetsockopt = libc.func(
  'int getsockopt(int fd, int level, int name, _Inout_ uint8_t *value, _Inout_ uint32_t *length)',
)
const rawSend = libc.func('intptr_t send(int fd, const void *data, size_t length, int flags)')
const rawRecv = libc.func('intptr_t recv(int fd, _Out_ uint8_t *data, size_t length, int flags)')
const rawSetns = libc.func('int setns(int fd, int type)')
const rawUnshare = libc.func('int unshare(int flags)')
const rawMount = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
)
const rawUmount = libc.func('int umount2(const char *target, int flags)')
const rawFlock = libc.func('int flock(int fd, int operation)')
const rawIoctl = libc.func('int ioctl(int fd, unsigned long request)')
const rawClose = libc.func('int close(int fd)')

function checked(syscall: string, result: number, context?: string): number {
  if (result < 0) throw new SystemError(syscall, koffi.errno(), context)
  return result
}

const asNumber = (value: unknown): number => Number(value)

export function socket(domain: number, type: number, protocol: number): number {
  return checked('socket', asNumber(rawSocket(domain, type, protocol)))
}

export function bind(fd: number, address: Buffer): void {
  checked('bind', asNumber(rawBind(fd, address, address.length)))
}

/** The bound address, at most `capacityBytes` long. */
export function getsockname(fd: number, capacityBytes: number): Buffer {
  const address = Buffer.alloc(capacityBytes)
  checked('getsockname', asNumber(rawGetsockname(fd, address, [capacityBytes])))
  return address
}

export function setsockopt(fd: number, level: number, name: number, value: Buffer): void {
  checked('setsockopt', asNumber(rawSetsockopt(fd, level, name, value, value.length)), `option ${level}/${name}`)
}

/** Some options read their value too: `value` goes in and is overwritten. How many bytes of it came back. */
export function getsockopt(fd: number, level: number, name: number, value: Buffer): number {
  const length = [value.length]
  checked('getsockopt', asNumber(rawGetsockopt(fd, level, name, value, length)), `option ${level}/${name}`)
  return asNumber(length[0])
}

export function send(fd: number, data: Uint8Array): void {
  const sent = checked('send', asNumber(rawSend(fd, data, data.length, 0)))
  if (sent !== data.length) throw new Error(`send: ${sent} of ${data.length} bytes went out`)
}

/**
 * `send` on a thread of libuv's pool, for calls that block in the kernel. Resolves when the call returns.
 * koffi does not keep the buffer of an asynchronous call alive: the closure does, until the callback.
 */
export function sendBlocking(fd: number, data: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    rawSend.async(fd, data, data.length, 0, (error: Error | null, sent: unknown) => {
      if (error !== null) reject(error)
      else if (asNumber(sent) === data.length) resolve()
      // koffi hands the errno of the call's own thread to the callback.
      else if (asNumber(sent) < 0) reject(new SystemError('send', koffi.errno()))
      else reject(new Error(`send: ${asNumber(sent)} of ${data.length} bytes went out`))
    })
  })
}

/** The number of bytes received; with MSG_TRUNC the real length of a datagram that did not fit. */
export function recv(fd: number, data: Uint8Array, flags = 0): number {
  return checked('recv', asNumber(rawRecv(fd, data, data.length, flags)))
}

export function setns(fd: number, type: number): void {
  checked('setns', asNumber(rawSetns(fd, type)))
}

export function unshare(flags: number): void {
  checked('unshare', asNumber(rawUnshare(flags)))
}

export function mount(source: string, target: string, flags: number): void {
  checked('mount', asNumber(rawMount(source, target, 'none', flags, null)), `${source} on ${target}`)
}

export function umount(target: string, flags: number): void {
  checked('umount2', asNumber(rawUmount(target, flags)), target)
}

export function flock(fd: number, operation: number): void {
  checked('flock', asNumber(rawFlock(fd, operation)))
}

/** A request without an argument that answers by its return value. */
export function ioctl(fd: number, request: number): number {
  return checked('ioctl', asNumber(rawIoctl(fd, request)), `request 0x${request.toString(16)}`)
}

export function close(fd: number): void {
  checked('close', asNumber(rawClose(fd)), `descriptor ${fd}`)
}
