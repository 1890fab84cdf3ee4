import type net from 'node:net'

/** Long enough for who speaks first to have spoken; where the server does, it is what a connection waits. */
const patienceMs = 100

/** What a connection begins with, which stays to be read; undefined: nothing came in time, or it has ended. */
export function firstByte(socket: net.Socket): Promise<number | undefined> {
  return new Promise((resolve) => {
    const done = (byte: number | undefined): void => {
      clearTimeout(timer)
      socket.off('readable', look)
      socket.off('error', ended)
      socket.off('end', ended)
      socket.off('close', ended)
      resolve(byte)
    }
    const ended = (): void => done(undefined)
    const look = (): void => {
      const chunk: unknown = socket.read()
      if (!Buffer.isBuffer(chunk)) return
      const byte = chunk[0]
      socket.unshift(chunk)
      done(byte)
    }
    const timer = setTimeout(ended, patienceMs)
    socket.on('readable', look)
    socket.on('error', ended)
    socket.on('end', ended)
    socket.on('close', ended)
  })
}
