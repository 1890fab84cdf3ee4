import { destination, pino, stdSerializers } from 'pino'
import type { LogFields, Logger } from '../base/logger.ts'

/** Events as JSON lines on standard error: standard output belongs to the CNI protocol and to command output. */
export function pinoLogger(level: string, bindings: LogFields = {}): Logger {
  const log = pino(
    { level, base: bindings, messageKey: 'event', serializers: { error: stdSerializers.err } },
    destination({ dest: 2, sync: true }),
  )
  return {
    debug: (event, fields = {}) => log.debug(fields, event),
    info: (event, fields = {}) => log.info(fields, event),
    warn: (event, fields = {}) => log.warn(fields, event),
    error: (event, fields = {}) => log.error(fields, event),
  }
}
