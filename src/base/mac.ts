import type { Brand } from './brand.ts'
import { err, ok, type Result } from './result.ts'

/** Six octets in lower-case hexadecimal, separated by colons. */
export type Mac = Brand<string, 'Mac'>

export function parseMac(text: string): Result<Mac, string> {
  if (!/^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i.test(text)) {
    return err(`${JSON.stringify(text)} is not a MAC address such as 02:00:17:00:00:01`)
  }
  return ok(text.toLowerCase().replaceAll('-', ':') as Mac)
}

export function macToBytes(mac: Mac): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex')
}

export function macFromBytes(bytes: Uint8Array): Mac {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac
}
