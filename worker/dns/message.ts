/**
 * DNS messages: from the bytes of a query to what is asked, and from an answer to bytes that fit where
 * they go. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
// @ts-types="@types/dns-packet"
import packet, { type Answer, type OptAnswer, type Packet, type Question } from "dns-packet";

export type { Answer };
export type Transport = "udp" | "tcp";

export interface Query {
  id: number;
  /** In lower case, without the last dot. */
  name: string;
  type: string;
  /** As it was asked: the answer repeats it letter by letter. */
  question: Question;
  recursionDesired: boolean;
  /** Bytes that fit into a datagram to the client. */
  datagramBytes: number;
  edns: boolean;
}

export type ReadQuery =
  | { kind: "query"; query: Query }
  /** To be answered with this, or not at all. */
  | { kind: "refused"; reply?: Uint8Array };

export type ResponseCode = "NOERROR" | "SERVFAIL" | "NXDOMAIN";

export interface Reply {
  code: ResponseCode;
  answers: readonly Answer[];
  /** Left out when they do not fit. */
  additionals?: readonly Answer[];
  /** For an answer without records: how long that may be remembered, and whose word it is. */
  authority?: Answer;
}

const HEADER_BYTES = 12;
const RESPONSE = 0x80;
const OPCODE = 0x78;
/** What any client can take in a datagram. */
const DATAGRAM_BYTES = 512;
/** What passes any network in one piece. */
const MAX_DATAGRAM_BYTES = 1232;
const STREAM_BYTES = 65535;
const CODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** Reads a query; a response, or what is too short to be answered, is refused without a reply. */
export function readQuery(bytes: Uint8Array): ReadQuery {
  const flags = bytes[2];
  if (bytes.length < HEADER_BYTES || flags === undefined || (flags & RESPONSE) !== 0) {
    return { kind: "refused" };
  }
  if ((flags & OPCODE) !== 0) return { kind: "refused", reply: bareReply(bytes, CODES.NOTIMP) };
  const decoded = decode(bytes);
  const [question, ...more] = decoded?.questions ?? [];
  if (!decoded || !question || more.length > 0) {
    return { kind: "refused", reply: bareReply(bytes, CODES.FORMERR) };
  }
  if (question.class !== undefined && question.class !== "IN") {
    return { kind: "refused", reply: bareReply(bytes, CODES.REFUSED) };
  }
  const opt = decoded.additionals?.find((record): record is OptAnswer => record.type === "OPT");
  const wanted = opt ? Math.max(opt.udpPayloadSize, DATAGRAM_BYTES) : DATAGRAM_BYTES;
  return {
    kind: "query",
    query: {
      id: decoded.id ?? 0,
      name: question.name.toLowerCase().replace(/\.$/, ""),
      type: question.type,
      question,
      recursionDesired: ((decoded.flags ?? 0) & packet.RECURSION_DESIRED) !== 0,
      datagramBytes: Math.min(wanted, MAX_DATAGRAM_BYTES),
      edns: opt !== undefined,
    },
  };
}

/**
 * The reply's bytes. What does not fit is left out: first the additionals, silently, then answers, and
 * then the reply says that it is cut short, so that the client asks again over TCP.
 */
export function writeReply(query: Query, reply: Reply, transport: Transport): Uint8Array {
  const limit = transport === "udp" ? query.datagramBytes : STREAM_BYTES;
  const whole = encode(query, reply);
  if (whole.length <= limit) return whole;
  const bare = { ...reply, additionals: [] };
  const short = encode(query, bare);
  if (short.length <= limit) return short;
  // Records of one reply are about as long as each other, so this is at most a few too many.
  let count = Math.floor((reply.answers.length * limit) / short.length);
  while (true) {
    const cut = encode(query, { ...bare, answers: reply.answers.slice(0, count) }, true);
    if (cut.length <= limit || count === 0) return cut;
    count--;
  }
}

/** A reply of that many bytes was got elsewhere: as it is, or cut short if the client cannot take it. */
export function passOn(query: Query, bytes: Uint8Array, transport: Transport): Uint8Array {
  if (transport === "tcp" || bytes.length <= query.datagramBytes) return bytes;
  return encode(query, { code: "NOERROR", answers: [] }, true);
}

function encode(query: Query, reply: Reply, cutShort = false): Uint8Array {
  const { AUTHORITATIVE_ANSWER, RECURSION_AVAILABLE, RECURSION_DESIRED, TRUNCATED_RESPONSE } =
    packet;
  const opt: OptAnswer = {
    ...{ type: "OPT", name: ".", udpPayloadSize: MAX_DATAGRAM_BYTES, extendedRcode: 0 },
    ...{ ednsVersion: 0, flags: 0, flag_do: false, options: [] },
  };
  const message: Packet = {
    type: "response",
    id: query.id,
    flags: RECURSION_AVAILABLE | CODES[reply.code] |
      (reply.code === "SERVFAIL" ? 0 : AUTHORITATIVE_ANSWER) |
      (query.recursionDesired ? RECURSION_DESIRED : 0) |
      (cutShort ? TRUNCATED_RESPONSE : 0),
    questions: [query.question],
    answers: [...reply.answers],
    authorities: reply.authority ? [reply.authority] : [],
    additionals: [...(reply.additionals ?? []), ...(query.edns ? [opt] : [])],
  };
  return packet.encode(message);
}

function decode(bytes: Uint8Array): packet.DecodedPacket | undefined {
  try {
    return packet.decode(Buffer.from(bytes));
  } catch {
    return undefined; // A stranger's bytes are no bug of ours.
  }
}

/** Only a header, for a query that could not be read. */
function bareReply(bytes: Uint8Array, code: number): Uint8Array {
  const reply = new Uint8Array(HEADER_BYTES);
  reply.set(bytes.subarray(0, 4));
  reply[2] = ((bytes[2] ?? 0) & ~0x06) | RESPONSE;
  reply[3] = code;
  return reply;
}
