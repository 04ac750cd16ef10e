// The channel to ckfunc: frames of u32 length, u32 header length, a JSON header and a body of UTF-8 text.
// Writing is synchronous, so that output is sent before a loop or crash that follows it.
import { readSync } from 'node:fs';
import net from 'node:net';
import {
  allocUnsafeSlow, byteLength, concat, defineProperty, part, parseJson, readText, readUInt32, reallyExit, toJson, wait, writeSync,
  writeUInt32, writeUtf8,
} from './intrinsics.mjs';

const never = new Int32Array(new SharedArrayBuffer(4));

const SHORT_BYTES = 16_384; // frames up to this size reuse one buffer
const READ_BYTES = 65_536;

function writeAll(descriptor, bytes, end) {
  for (let at = 0; at < end;) {
    try {
      at += writeSync(descriptor, bytes, at, end - at);
    } catch (error) {
      if (error.code !== 'EAGAIN') reallyExit(0); // ckfunc has closed the channel
      wait(never, 0, 0, 1);
    }
  }
}

/** A buffer that shares no memory with others, and that is not read through replaceable functions. */
function privateBuffer(size) {
  const buffer = allocUnsafeSlow(size);
  defineProperty(buffer, 'length', { __proto__: null, value: size });
  defineProperty(buffer, 'byteLength', { __proto__: null, value: size });
  defineProperty(buffer, 'byteOffset', { __proto__: null, value: 0 });
  return buffer;
}

/**
 * The bytes that start every frame of the host, read from the channel before anything else: other writers are detected
 * because they do not have them.
 */
function readSeal(descriptor, size) {
  const seal = privateBuffer(size);
  for (let at = 0; at < size;) {
    const count = readSync(descriptor, seal, at, size - at);
    if (count === 0) reallyExit(0);
    at += count;
  }
  return seal;
}

export function openChannel({ input, output, sealBytes = 0 }, receive) {
  const seal = readSeal(input, sealBytes);
  const sealed = (size) => {
    const frame = privateBuffer(size);
    for (let at = 0; at < sealBytes; at += 1) frame[at] = seal[at];
    return frame;
  };
  const short = sealed(SHORT_BYTES);
  let rest = null;
  const take = (chunk) => {
    let buffer = rest === null ? chunk : concat([rest, chunk]);
    while (buffer.length >= 4) {
      const length = readUInt32(buffer, 0);
      if (buffer.length < 4 + length) break;
      const bodyAt = 8 + readUInt32(buffer, 4);
      receive(parseJson(readText(buffer, 'utf8', 8, bodyAt)), readText(buffer, 'utf8', bodyAt, 4 + length));
      buffer = part(buffer, 4 + length);
    }
    rest = buffer.length ? concat([buffer]) : null; // a copy: the next chunk is read into the same memory
  };
  // Reading into one buffer skips most of the work of a stream.
  const onread = { buffer: allocUnsafeSlow(READ_BYTES), callback: (size, buffer) => (take(part(buffer, 0, size)), true) };
  const socket = new net.Socket({ fd: input, readable: true, writable: false, onread });
  const end = () => reallyExit(0);
  socket.on('end', end).on('error', end).on('close', end);

  return function send(header, body = '') {
    const head = toJson({ __proto__: null, ...header }); // without a prototype, handlers cannot add a toJSON
    const headAt = sealBytes + 8;
    const most = headAt + 3 * (head.length + body.length); // a unit of a string has at most three bytes
    const frame = most <= SHORT_BYTES ? short : sealed(headAt + byteLength(head) + byteLength(body));
    const headLength = writeUtf8(frame, head, headAt, frame.length - headAt);
    const bodyAt = headAt + headLength;
    const end = bodyAt + (body === '' ? 0 : writeUtf8(frame, body, bodyAt, frame.length - bodyAt));
    writeUInt32(frame, end - sealBytes - 4, sealBytes);
    writeUInt32(frame, headLength, sealBytes + 4);
    writeAll(output, frame, end); // at once: each write wakes ckfunc
  };
}
