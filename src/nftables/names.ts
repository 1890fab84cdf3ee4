// Text that goes into nft commands: whatever is not plainly harmless is refused, so that no name or literal can end
// its word and begin a command of its own.

const namePattern = /^[A-Za-z][A-Za-z0-9_-]*$/
/** NFT_NAME_MAXLEN of linux/netfilter/nf_tables.h is 256 with the closing zero. */
const nameBytes = 255
/** Names that nft 1.0.6 refuses for a chain: words of its language, wherever they stand. */
const reservedWords = new Set(
  (
    'accept add all and arp bridge cgroup chain comment constant continue counter cpu create ct day define ' +
    'delete describe device devices dnat drop dup dynamic element elements eq exists expires export fib flags ' +
    'flow flowtable flush fwd ge goto gt handle hook hour icmp iif iifname import include index inet insert ' +
    'interval ip ip6 ipsec jhash jump last le limit list log lt map mark masquerade meta meter minute missing ' +
    'monitor ne netdev nftrace not notrack numgen oif oifname or osf pkttype policy priority queue quota random ' +
    'redefine redirect reject rename replace reset return rt rule ruleset sctp secmark second set size snat ' +
    'socket symhash synproxy table tcp th time timeout tproxy type typeof udp undefine update vlan vmap week xor'
  ).split(' '),
)
const wordPattern = /^[A-Za-z][A-Za-z0-9-]*$/
const addressPattern = /^[0-9A-Fa-f.:]+(?:\/[0-9]{1,3})?$/
const ifnamePattern = /^[^\s"\\/:]{1,16}$/
const quotablePattern = /^[^"\\\n\r\0]{1,127}$/

/** Why a chain, set or table cannot have this name; undefined when it can. */
export function nameProblem(name: string): string | undefined {
  if (!namePattern.test(name) || name.length > nameBytes) {
    return `${JSON.stringify(name)} is no name in nftables (a letter, then up to ${nameBytes - 1} letters, digits, - and _)`
  }
  return reservedWords.has(name) ? `${JSON.stringify(name)} is a word of nft's language` : undefined
}

export function checkedName(name: string): string {
  const problem = nameProblem(name)
  if (problem !== undefined) throw new RangeError(problem)
  return name
}

export function checkedWord(text: string): string {
  return checked(text, wordPattern, 'a keyword')
}

export function checkedAddress(text: string): string {
  return checked(text, addressPattern, 'an address or a block')
}

export function quotedIfname(text: string): string {
  return `"${checked(text, ifnamePattern, 'an interface or a pattern such as oci*')}"`
}

export function quoted(text: string): string {
  return `"${checked(text, quotablePattern, 'a text of up to 127 characters without quotes and line ends')}"`
}

export function checkedNumber(value: number, maximum: number): string {
  if (!Number.isInteger(value) || value < 0 || value > maximum) {
    throw new RangeError(`${value} is not a whole number from 0 to ${maximum}`)
  }
  return String(value)
}

function checked(text: string, pattern: RegExp, what: string): string {
  if (!pattern.test(text)) throw new RangeError(`${JSON.stringify(text)} is not ${what}`)
  return text
}
