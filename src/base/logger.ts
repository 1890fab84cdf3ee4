export type LogFields = Readonly<Record<string, unknown>>

/** Events, not sentences: `log.info('vnic.attached', { vnicId })`. Implemented on pino in `cli`. */
export interface Logger {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}
