// What a handler prints: every console call becomes lines of its own invocation, formatted as Node does.
import { Console } from 'node:console';
import { byteLength, slice, wellFormed } from './intrinsics.mjs';
import { tidy } from './stacks.mjs';

const LEVELS = {
  log: 'log', info: 'info', debug: 'debug', warn: 'warn', error: 'error', trace: 'trace', assert: 'error',
  dir: 'log', dirxml: 'log', table: 'log', group: 'log', groupCollapsed: 'log', groupEnd: 'log',
  count: 'log', countReset: 'warn', time: 'warn', timeEnd: 'log', timeLog: 'log',
};

/**
 * One run's output. `emit(id, level, text)` sends a line. What exceeds `limit` bytes, line ends counted, is dropped after
 * one line that says so; of the line that crosses the limit the beginning is kept.
 */
export class Output {
  #emit;
  #limit;
  #level = 'log';
  #used = 0;
  #console = null;
  #partial = { log: '', error: '' };

  constructor(id, limit, emit) {
    this.id = id;
    this.#limit = limit;
    this.#emit = emit;
  }

  line(level, value) {
    if (this.#used > this.#limit) return;
    const left = this.#limit - this.#used;
    const whole = byteLength(value) < left;
    const line = wellFormed(tidy(whole ? value : slice(value, 0, left)));
    if (line !== '' || whole) this.#emit(this.id, level, line);
    this.#used = whole ? this.#used + byteLength(line) + 1 : this.#limit + 1;
    if (!whole) this.#emit(this.id, 'warn', `[console output beyond ${this.#limit} bytes is dropped]`);
  }

  /** Text written to process.stdout or process.stderr: whole lines are sent, the rest waits. */
  write(level, value) {
    if (this.#used > this.#limit) return;
    const lines = (this.#partial[level] + value).split('\n');
    this.#partial[level] = lines.pop();
    for (const line of lines) this.line(level, line);
    if (this.#partial[level].length > this.#limit) this.flush();
  }

  flush() {
    this.#flush('log');
    this.#flush('error');
  }

  #flush(level) {
    const rest = this.#partial[level];
    this.#partial[level] = '';
    if (rest !== '') this.line(level, rest);
  }

  call(method, args) {
    if (this.#used > this.#limit) return undefined;
    this.#console ??= this.#make();
    this.#level = LEVELS[method];
    return this.#console[method](...args);
  }

  #make() {
    const stream = {
      write: (chunk) => this.line(this.#level, chunk.endsWith('\n') ? chunk.slice(0, -1) : chunk),
    };
    return new Console({ stdout: stream, stderr: stream, colorMode: false, ignoreErrors: false });
  }
}

/** Turn `console`, process.stdout and process.stderr into lines of `current()`, the Output of the run that calls. */
export function capture(current) {
  for (const method of Object.keys(LEVELS)) {
    console[method] = { [method]: (...args) => current().call(method, args) }[method];
  }
  for (const [name, level] of [['stdout', 'log'], ['stderr', 'error']]) {
    process[name].write = (chunk, encoding, done) => {
      const value = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      current().write(level, value);
      const callback = typeof encoding === 'function' ? encoding : done;
      if (typeof callback === 'function') process.nextTick(callback);
      return true;
    };
  }
}
