// The channel to ckfunc: frames of u32 length, u32 header length, a JSON header and a body of UTF-8 text.
// Writing is synchronous, so that output is sent before a loop or crash that follows it.
import { readSync } from 'node:fs';
import net from 'node:net';
import {
  allocUnsafe, byteLength, concat, defineProperty, part, parseJson, readText, readUInt32, reallyExit, toJson, wait, writeSync, writeText,
  writeUInt32,
} from './intrinsics.mjs';

const never = new Int32Array(new SharedArrayBuffer(4));

function writeAll(descriptor, bytes) {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(descriptor, bytes, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') reallyExit(0); // ckfunc has closed the channel
      wait(never, 0, 0, 1);
    }
  }
}

/**
 * The bytes that start every frame of the host, read from the channel before anything else: other writers are detected
 * because they do not have them. The buffer is not shared, and not read through replaceable functions.
 */
function readSeal(descriptor, size) {
  const seal = Buffer.allocUnsafeSlow(size);
  for (let at = 0; at < size;) {
    const count = readSync(descriptor, seal, at, size - at);
    if (count === 0) reallyExit(0);
    at += count;
  }
  for (const [name, value] of Object.entries({ length: size, byteLength: size, byteOffset: 0 })) defineProperty(seal, name, { value });
  return seal;
}

export function openChannel({ input, output, sealBytes = 0 }, receive) {
  const seal = sealBytes ? readSeal(input, sealBytes) : null;
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
    rest = buffer.length ? buffer : null;
  };
  const socket = new net.Socket({ fd: input, readable: true, writable: false });
  const end = () => reallyExit(0);
  socket.on('data', take).on('end', end).on('error', end).on('close', end);

  return function send(header, body = '') {
    const head = toJson({ __proto__: null, ...header }); // without a prototype, handlers cannot add a toJSON
    const headLength = byteLength(head);
    const length = 4 + headLength + byteLength(body);
    const frame = allocUnsafe(4 + length);
    writeUInt32(frame, length, 0);
    writeUInt32(frame, headLength, 4);
    writeText(frame, head, 8, 'utf8');
    if (body !== '') writeText(frame, body, 8 + headLength, 'utf8');
    if (seal !== null) writeAll(output, seal);
    writeAll(output, frame);
  };
}
