import { isTableThere, isWithoutNftables } from '../../nftables/table-presence.ts'
import { serviceTableName } from '../../proxy/rule-names.ts'

/** What to tell when this agent leaves Services alone and the rules of an earlier one still translate them, as they were. */
export function leftoverServiceRules(): readonly string[] {
  try {
    if (!isTableThere({ family: 'ip', name: serviceTableName })) return []
  } catch (error) {
    if (isWithoutNftables(error)) return []
    throw error
  }
  return [
    `table ip ${serviceTableName} of an earlier agent still translates Services, to the endpoints of then: remove it with ` +
      '"vcnctl proxy cleanup", or turn kubernetes.services on again',
  ]
}
