const longest = 80

/** As it stands in a message: in quotes, and its beginning alone when it is long. */
export function quotedValue(text: string): string {
  return JSON.stringify(shortenedValue(text))
}

export function shortenedValue(text: string): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`
}
