// Output of handlers: every console call, and every write of JavaScript to descriptors 1 and 2, becomes lines of its own
// invocation, formatted as Node does. Output of native code and threads reaches ckfunc through pipes.
import { Console } from 'node:console';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { StringDecoder } from 'node:string_decoder';
import { apply, byteLength, formatWithOptions, slice, wellFormed } from './intrinsics.mjs';
import { tidy } from './stacks.mjs';

const LEVELS = {
  log: 'log', info: 'info', debug: 'debug', warn: 'warn', error: 'error', trace: 'trace', assert: 'error',
  dir: 'log', dirxml: 'log', table: 'log', group: 'log', groupCollapsed: 'log', groupEnd: 'log',
  count: 'log', countReset: 'warn', time: 'warn', timeEnd: 'log', timeLog: 'log',
};

const DESCRIPTORS = { __proto__: null, 1: 'log', 2: 'error' };
const UNSHOWN_WARNINGS = ['ExperimentalWarning', 'SecurityWarning']; // of the options that ckfunc starts Node with

/**
 * The output of a run. `emit(id, level, text, extra)` sends a line. Output beyond `limit` bytes, including line ends, is
 * dropped after a note; the line that exceeds the limit is truncated. An unfinished line is also sent in parts
 * (`extra.part`), so that it is not lost if the process ends; the complete line follows with `extra.ends`. Both contain
 * the stream: log or error.
 */
export class Output {
  #emit;
  #limit;
  #level = 'log';
  #used = 0;
  #console = null;
  #lead = '';
  #partial = { log: '', error: '' };
  #decoders = { log: null, error: null };

  constructor(id, limit, emit) {
    this.id = id;
    this.#limit = limit;
    this.#emit = emit;
  }

  /** Restart the count, for output outside of runs. */
  renew() {
    this.#used = 0;
  }

  /** Name the run in lines from now on: its result is sent, so the next run shows them. */
  ended(label) {
    this.#lead = label ? `[run ${label}] ` : '[earlier run] ';
  }

  line(level, value, stream = '') {
    const extra = stream === '' ? null : { ends: stream };
    if (this.#used > this.#limit) return;
    value = this.#lead + value;
    const left = this.#limit - this.#used;
    const whole = byteLength(value) < left;
    const line = wellFormed(tidy(whole ? value : slice(value, 0, left)));
    if (line !== '' || whole || extra) this.#emit(this.id, level, line, extra);
    this.#used = whole ? this.#used + byteLength(line) + 1 : this.#limit + 1;
    if (!whole) this.#emit(this.id, 'warn', `[console output beyond ${this.#limit} bytes is dropped]`);
  }

  /** Text or bytes written to stdout or stderr: whole lines are sent, the rest waits. */
  write(stream, chunk, encoding) {
    if (this.#used > this.#limit) return;
    const lines = this.#decoded(stream, chunk, encoding).split('\n');
    const before = this.#partial[stream];
    const rest = lines.pop();
    if (lines.length) {
      this.#partial[stream] = '';
      lines[0] = before + lines[0];
      lines.forEach((line, at) => this.line(stream, withoutReturn(line), at === 0 && before !== '' ? stream : ''));
    }
    if (rest === '' || this.#used > this.#limit) return;
    this.#partial[stream] += rest;
    if (this.#partial[stream].length > this.#limit) this.#flush(stream);
    else this.#emit(this.id, stream, wellFormed(rest), { part: stream });
  }

  /** Writes of bytes may split a character. */
  #decoded(stream, chunk, encoding) {
    if (typeof chunk === 'string' && (encoding === undefined || /^utf-?8$/i.test(encoding))) return chunk;
    const decoder = (this.#decoders[stream] ??= new StringDecoder('utf8'));
    return decoder.write(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk);
  }

  flush() {
    this.#flush('log');
    this.#flush('error');
  }

  #flush(stream) {
    const rest = this.#partial[stream] + (this.#decoders[stream]?.end() ?? '');
    const sent = this.#partial[stream] !== '';
    this.#partial[stream] = '';
    if (rest !== '') this.line(stream, withoutReturn(rest), sent ? stream : '');
  }

  call(method, args) {
    if (this.#used > this.#limit) return undefined;
    this.#console ??= this.#make();
    this.#level = LEVELS[method];
    return this.#console[method](...args);
  }

  #make() {
    // This completes a line that process.stdout.write has started, as in a terminal.
    const to = (stream) => ({
      write: (chunk) => {
        const begun = this.#partial[stream];
        this.#partial[stream] = '';
        this.line(this.#level, begun + (chunk.endsWith('\n') ? chunk.slice(0, -1) : chunk), begun === '' ? '' : stream);
      },
    });
    return new Console({ stdout: to('log'), stderr: to('error'), colorMode: false, ignoreErrors: false });
  }
}

const withoutReturn = (line) => (line.endsWith('\r') ? slice(line, 0, -1) : line);

/** Turn all output of JavaScript into lines of `current()`, the Output of the run that calls. */
export function capture(current) {
  for (const method of Object.keys(LEVELS)) {
    console[method] = { [method]: (...args) => current().call(method, args) }[method];
  }
  for (const [name, stream] of [['stdout', 'log'], ['stderr', 'error']]) {
    process[name]._handle?.setBlocking?.(true); // native code does not expect EAGAIN
    process[name].write = (chunk, encoding, done) => {
      current().write(stream, chunk, typeof encoding === 'string' ? encoding : undefined);
      const callback = typeof encoding === 'function' ? encoding : done;
      if (typeof callback === 'function') process.nextTick(callback);
      return true;
    };
  }
  process._rawDebug = (...args) => current().write('error', `${formatWithOptions({}, ...args)}\n`);
  captureDescriptors(current);
  captureWarnings(current);
}

/** The data of a call of fs.write or fs.writeSync, or null when its arguments are invalid. */
function written([, data, from, length, encoding]) {
  if (typeof data === 'string') return Buffer.from(data, Buffer.isEncoding(length) ? length : undefined);
  if (!ArrayBuffer.isView(data)) return null;
  const { offset = 0, length: size = data.byteLength - offset } =
    from !== null && typeof from === 'object' ? from : { offset: from ?? 0, length: typeof length === 'number' ? length : undefined };
  return offset >= 0 && size >= 0 && offset + size <= data.byteLength ? Buffer.from(data.buffer, data.byteOffset + offset, size) : null;
}

const writtenTogether = ([, chunks]) => (Array.isArray(chunks) && chunks.every(ArrayBuffer.isView) ? Buffer.concat(chunks.map((chunk) => Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))) : null);

function writtenAsFile([, data, options]) {
  if (typeof data === 'string') return Buffer.from(data, typeof options === 'string' ? options : options?.encoding ?? 'utf8');
  return ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : null;
}

/** Loggers such as pino write to descriptors 1 and 2 themselves. */
function captureDescriptors(current) {
  const capturing = (name, bytesOf, answer) => {
    fs[name] = new Proxy(fs[name], {
      apply(original, self, args) {
        const stream = DESCRIPTORS[args[0]];
        const bytes = stream === undefined || typeof args[0] !== 'number' ? null : bytesOf(args);
        if (bytes === null) return apply(original, self, args);
        current().write(stream, bytes);
        return answer(bytes.length, args);
      },
    });
  };
  const later = (result) => (size, args) => {
    const done = args.at(-1);
    process.nextTick(() => done(null, ...result(size, args)));
  };
  const withCallback = (bytesOf) => (args) => (typeof args.at(-1) === 'function' ? bytesOf(args.slice(0, -1)) : null);
  capturing('writeSync', written, (size) => size);
  capturing('writevSync', writtenTogether, (size) => size);
  capturing('writeFileSync', writtenAsFile, () => undefined);
  capturing('appendFileSync', writtenAsFile, () => undefined);
  capturing('write', withCallback(written), later((size, args) => [size, args[1]]));
  capturing('writev', withCallback(writtenTogether), later((size, args) => [size, args[1]]));
  capturing('writeFile', withCallback(writtenAsFile), later(() => []));
  capturing('appendFile', withCallback(writtenAsFile), later(() => []));
  syncBuiltinESMExports();
}

/** Node would write its warnings, such as deprecations, to descriptor 2 with the number of the process. */
function captureWarnings(current) {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (UNSHOWN_WARNINGS.includes(warning.name)) return;
    const code = warning.code ? `[${warning.code}] ` : '';
    const detail = typeof warning.detail === 'string' ? `\n${warning.detail}` : '';
    current().line('warn', `${code}${warning.name}: ${warning.message}${detail}`);
  });
}
