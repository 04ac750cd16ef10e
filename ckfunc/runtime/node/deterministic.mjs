// Deterministic runs: the clock advances only with the run's own timers, random numbers come from a seed, and connections
// may be limited to the platform. Code outside of runs has its own clock and seed.
import crypto, { webcrypto } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';
import { promisify } from 'node:util';
import { beAnyMachine, formatDeterministically } from './machine.mjs';

const PATIENT_READS = 10_000; // then the clock advances, so that loops waiting for it end
const LONGEST_WAIT_MS = 1000;
const LONGEST_WORK_MS = 1000; // the time limit for workers to become idle
const WORK_MS = 10;
const RealDate = Date;
const realTimeout = setTimeout;
const realImmediate = setImmediate;
const realUptime = process.uptime.bind(process);
const { apply, construct } = Reflect;

/** The clock and random numbers of a run, from {now, seed}; times in ms since 1970. */
export class Determinism {
  #words;
  #reads = 0;

  constructor({ now, seed }) {
    this.origin = { now, seed };
    this.start = this.now = now;
    this.open = 0; // pending requests
    this.#words = Uint32Array.of(0x9e3779b9, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 1);
    for (let round = 0; round < 12; round += 1) this.word();
  }

  read() {
    this.#reads += 1;
    if (this.#reads > PATIENT_READS) this.now += 1;
    return this.now;
  }

  advance(to) {
    if (to > this.now) this.now = to;
  }

  /** 32 bits: sfc32 of PractRand, in the public domain. */
  word() {
    const words = this.#words;
    const sum = (words[0] + words[1] + words[3]) >>> 0;
    words[3] += 1;
    words[0] = words[1] ^ (words[1] >>> 9);
    words[1] = words[2] + (words[2] << 3);
    words[2] = ((words[2] << 21) | (words[2] >>> 11)) + sum;
    return sum;
  }

  /** A number from 0 to 1, of 53 bits. */
  chance() {
    return ((this.word() >>> 5) * 2 ** 26 + (this.word() >>> 6)) / 2 ** 53;
  }

  fill(bytes) {
    for (let at = 0; at < bytes.length; at += 4) {
      const word = this.word();
      for (let step = 0; step < 4 && at + step < bytes.length; step += 1) bytes[at + step] = word >>> (8 * step);
    }
  }
}

const put = (target, name, value) => Object.defineProperty(target, name, { value, writable: true, configurable: true });

/** Take time and random numbers from `current()`, the Determinism of the calling run. */
export function becomeDeterministic(current) {
  deterministicDate(current);
  deterministicDurations(current);
  deterministicTimers(current);
  put(Math, 'random', { random: () => current().chance() }.random);
  deterministicCrypto(current);
  formatDeterministically(current);
  beAnyMachine(current);
  syncBuiltinESMExports();
}

function deterministicDate(current) {
  put(RealDate, 'now', { now: () => current().read() }.now);
  const date = new Proxy(RealDate, {
    construct: (target, args, made) => construct(target, args.length ? args : [current().read()], made),
    apply: () => new RealDate(current().read()).toString(),
  });
  put(RealDate.prototype, 'constructor', date);
  put(globalThis, 'Date', date);
}

function deterministicDurations(current) {
  const elapsed = () => { const determinism = current(); return determinism.read() - determinism.start + 1000; };
  put(performance, 'now', { now: elapsed }.now);
  const hrtime = (before) => {
    const ms = elapsed();
    const time = [Math.floor(ms / 1000), (ms % 1000) * 1e6];
    if (!before) return time;
    const nanoseconds = (time[0] - before[0]) * 1e9 + time[1] - before[1];
    return [Math.floor(nanoseconds / 1e9), ((nanoseconds % 1e9) + 1e9) % 1e9];
  };
  hrtime.bigint = () => BigInt(elapsed()) * 1_000_000n;
  put(process, 'hrtime', hrtime);
}

/** A timer takes its real time, and then advances the run's clock by that time. */
function deterministicTimers(current) {
  const waited = (delay) => {
    const determinism = current();
    const due = determinism.now + Math.max(1, Number(delay) || 1);
    return () => determinism.advance(due);
  };
  for (const name of ['setTimeout', 'setInterval']) {
    const real = timers[name];
    const deterministic = function (callback, delay, ...args) {
      if (typeof callback !== 'function') return real(callback, delay, ...args);
      let over = waited(delay);
      const fire = function (...given) {
        over();
        if (name === 'setInterval') over = waited(delay);
        return apply(callback, this, given);
      };
      return real(fire, delay, ...args);
    };
    put(timers, name, put({}, name, deterministic)[name]);
    put(globalThis, name, deterministic);
  }
  const later = timersPromises.setTimeout;
  const sleep = async (delay, ...rest) => {
    const over = waited(delay);
    const value = await later(delay, ...rest);
    over();
    return value;
  };
  put(timersPromises, 'setTimeout', sleep);
  put(timers.setTimeout, promisify.custom, sleep);
}

function deterministicCrypto(current) {
  const { randomBytes, randomFillSync, randomFill, randomInt } = crypto;
  const filled = (bytes) => { current().fill(bytes); return bytes; };
  const bytesOf = (target, offset = 0, size = undefined) => {
    const unit = target.BYTES_PER_ELEMENT ?? 1;
    const whole = ArrayBuffer.isView(target) ? new Uint8Array(target.buffer, target.byteOffset, target.byteLength) : new Uint8Array(target);
    return whole.subarray(offset * unit, size === undefined ? undefined : (offset + size) * unit);
  };
  const uuid = () => {
    const bytes = filled(Buffer.alloc(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  };
  // The real functions are called too, to validate the arguments.
  put(crypto, 'randomBytes', (size, done) => {
    if (done === undefined) return filled(randomBytes(size));
    return randomBytes(size, (error, bytes) => done(error, bytes && filled(bytes)));
  });
  put(crypto, 'randomFillSync', (target, offset, size) => {
    randomFillSync(target, offset, size);
    filled(bytesOf(target, offset, size));
    return target;
  });
  put(crypto, 'randomFill', (target, ...rest) => {
    const done = rest.pop();
    return randomFill(target, ...rest, (error) => {
      if (!error) filled(bytesOf(target, ...rest));
      done(error, target);
    });
  });
  put(crypto, 'randomInt', (...args) => {
    const done = typeof args.at(-1) === 'function' ? args.pop() : undefined;
    randomInt(...args);
    const [low, high] = args.length > 1 ? args : [0, args[0]];
    const value = low + Math.floor(current().chance() * (high - low));
    if (!done) return value;
    return process.nextTick(done, undefined, value);
  });
  put(crypto, 'randomUUID', uuid);
  const { getRandomValues } = webcrypto;
  const values = (target) => { apply(getRandomValues, webcrypto, [target]); filled(bytesOf(target)); return target; };
  put(Object.getPrototypeOf(webcrypto), 'getRandomValues', values);
  put(Object.getPrototypeOf(webcrypto), 'randomUUID', uuid);
}

/** Only allow connections to `apiUrl`. `onBlocked` is called with HOST:PORT of each refused connection. */
export function blockNetwork(apiUrl, onBlocked) {
  const allowed = new URL(apiUrl).host.replace(/[[\]]/g, '');
  const { connect } = net.Socket.prototype;
  put(net.Socket.prototype, 'connect', function (...args) {
    const first = Array.isArray(args[0]) ? args[0][0] : args[0];
    const options = first !== null && typeof first === 'object' ? first : { port: first, host: args[1] };
    const host = options.path ?? (typeof options.host === 'string' ? options.host : 'localhost');
    if (`${host}:${options.port}` === allowed) return apply(connect, this, args);
    const where = options.path ? host : `${host}:${options.port}`;
    onBlocked(where);
    const message = `connect ENETUNREACH ${where}: this run can only reach the platform`;
    const error = Object.assign(new Error(message), { code: 'ENETUNREACH', syscall: 'connect', address: host, port: options.port });
    process.nextTick(() => this.destroy(error));
    return this;
  });
}

/** Count the pending requests of each run. */
export function countRequests(current) {
  subscribe('http.client.request.created', ({ request }) => {
    const determinism = current();
    determinism.open += 1;
    request.once('close', () => { determinism.open -= 1; });
  });
  const requests = new WeakMap();
  subscribe('undici:request:create', ({ request }) => {
    const determinism = current();
    determinism.open += 1;
    requests.set(request, determinism);
  });
  for (const end of ['undici:request:trailers', 'undici:request:error']) {
    subscribe(end, ({ request }) => {
      const determinism = requests.get(request);
      if (determinism && requests.delete(request)) determinism.open -= 1;
    });
  }
}

const turn = () => new Promise((resolve) => { realImmediate(resolve); });

const workers = new Set(); // those that have not ended
process.on('worker', (worker) => {
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
});

/** Wait until the workers of handlers are idle: loggers write from a worker, which may still be starting. */
async function workersIdle() {
  const until = realUptime() + LONGEST_WORK_MS / 1000;
  const before = new Map();
  for (let idle = 0; idle < 5 && workers.size && realUptime() < until;) {
    await new Promise((resolve) => { realTimeout(resolve, WORK_MS); });
    let busy = false;
    for (const worker of workers) {
      const now = worker.performance.eventLoopUtilization().idle;
      if (!(now - before.get(worker) > WORK_MS / 2)) busy = true;
      before.set(worker, now);
    }
    idle = busy ? 0 : idle + 1;
  }
}

/** Wait for requests that the run did not await, for those that they cause, and for workers. */
export async function quiet(determinism) {
  const until = realUptime() + LONGEST_WAIT_MS / 1000;
  for (let idle = 0; idle < 4 && realUptime() < until;) {
    await (determinism.open ? new Promise((resolve) => { realTimeout(resolve, 1); }) : turn());
    idle = determinism.open ? 0 : idle + 1;
  }
  if (workers.size) await workersIdle();
}
