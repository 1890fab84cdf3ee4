import { describe, expect, test } from 'vitest'
import { decodeAddress } from './address.ts'
import { type CapturedAnswer, capturedAnswers } from './captured.fixture.ts'
import { NLMSG_DONE, RTM_NEWADDR, RTM_NEWLINK, RTM_NEWNEIGH, RTM_NEWROUTE, RTM_NEWRULE } from './constants.ts'
import { decodeAck, decodeDone } from './failure.ts'
import { decodeLink } from './link.ts'
import { decodeNeighbour } from './neighbour.ts'
import { decodeRoute } from './route.ts'
import { decodeRule } from './rule.ts'
import { decodeMessages, type NetlinkMessage } from './wire.ts'

const messagesOf = ({ hex }: CapturedAnswer): readonly NetlinkMessage[] =>
  hex.flatMap((datagram) => [...decodeMessages(Buffer.from(datagram, 'hex'))])

/** What is in a dump, without what our model cannot say; counters are compared elsewhere, with the kernel's own. */
function objects(answer: CapturedAnswer, type: number, decode: (body: Buffer) => object | undefined): unknown {
  const messages = messagesOf(answer)
  expect(messages.at(-1)?.type).toBe(NLMSG_DONE)
  expect(new Set(messages.slice(0, -1).map((message) => message.type))).toEqual(new Set([type]))
  return messages
    .slice(0, -1)
    .map(({ body }) => decode(body))
    .filter((object) => object !== undefined)
}

function withoutCounters(body: Buffer): object {
  const { counters: _, ...link } = decodeLink(body)
  return link
}

function only(answer: CapturedAnswer): NetlinkMessage {
  const [message, ...others] = messagesOf(answer)
  if (message === undefined || others.length > 0) throw new Error('one message was expected')
  return message
}

const decoders = new Map<string, (answer: CapturedAnswer) => unknown>([
  ['decodeLink', (answer) => objects(answer, RTM_NEWLINK, withoutCounters)],
  ['decodeAddress', (answer) => objects(answer, RTM_NEWADDR, decodeAddress)],
  ['decodeRoute', (answer) => objects(answer, RTM_NEWROUTE, decodeRoute)],
  ['decodeRule', (answer) => objects(answer, RTM_NEWRULE, decodeRule)],
  ['decodeNeighbour', (answer) => objects(answer, RTM_NEWNEIGH, decodeNeighbour)],
  ['decodeAck', (answer) => decodeAck(only(answer))],
  ['decodeDone', (answer) => decodeDone(only(answer))],
])

describe('the kernel’s answer to iproute2 means to us what the command was about', () => {
  test.each(capturedAnswers)('$command', (answer) => {
    expect(decoders.get(answer.decoder)?.(answer)).toEqual(answer.means)
  })
})

test('every decoder has seen a captured answer', () => {
  expect(new Set(capturedAnswers.map(({ decoder }) => decoder))).toEqual(new Set(decoders.keys()))
})
