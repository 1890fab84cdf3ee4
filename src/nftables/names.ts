// Text that goes into nft commands: whatever is not plainly harmless is refused, so that no name or literal can end
// its word and begin a command of its own.

const namePattern = /^[A-Za-z][A-Za-z0-9_-]*$/
/** NFT_NAME_MAXLEN of linux/netfilter/nf_tables.h is 256 with the closing zero. */
const nameBytes = 255
/** Names that nft's scanner takes for words of its language, of those that are likely for a chain or a set. */
const reservedWords = new Set(
  (
    'accept add all and chain continue counter ct day delete dnat drop dup element fib flags flow flush forward fwd ' +
    'goto hook hour icmp inet input insert interval ip ip6 jump last limit list log map mark masquerade meta minute ' +
    'nat notrack or output policy postrouting prerouting priority quota queue redirect reject reset return route rule ' +
    'ruleset sctp second set size snat socket state table tcp th timeout type typeof udp update vmap week'
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
