// Information about process and machine for deterministic runs: the same everywhere.
import os from 'node:os';
import { performance } from 'node:perf_hooks';
import { syncBuiltinESMExports } from 'node:module';

const PID = 4194305; // more than Linux and macOS give to any process, and odd, which Windows never does
const PPID = PID + 2;
const MEMORY = { rss: 96 * 2 ** 20, heapTotal: 24 * 2 ** 20, heapUsed: 12 * 2 ** 20, external: 4 * 2 ** 20, arrayBuffers: 2 ** 17 };
const { apply } = Reflect;

const put = (target, name, value) => Object.defineProperty(target, name, { value, writable: true, configurable: true });
const tell = (target, name, get) => Object.defineProperty(target, name, { get, configurable: true, enumerable: true });

/** Make information about process and machine the same everywhere; `current()` is the Determinism of the calling run. */
export function beAnyMachine(current) {
  const elapsed = () => { const determinism = current(); return determinism.read() - determinism.start + 1000; };
  const { kill, cpuUsage, resourceUsage } = process;
  const real = { [PID]: process.pid, [PPID]: process.ppid };
  tell(process, 'pid', () => PID);
  tell(process, 'ppid', () => PPID);
  put(process, 'kill', (pid, ...rest) => apply(kill, process, [real[pid] ?? pid, ...rest]));
  put(process, 'uptime', () => elapsed() / 1000);
  put(process, 'memoryUsage', Object.assign(() => ({ ...MEMORY }), { rss: () => MEMORY.rss }));
  put(process, 'availableMemory', () => 2 ** 30);
  put(process, 'cpuUsage', (before) => {
    apply(cpuUsage, process, before === undefined ? [] : [before]); // to validate the arguments
    return { user: elapsed() * 1000 - (before?.user ?? 0), system: 0 };
  });
  put(process, 'resourceUsage', () => Object.fromEntries(Object.keys(apply(resourceUsage, process, [])).map((name) => [name, 0])));
  tell(performance, 'timeOrigin', () => current().start - 1000);
  const { cpus } = os;
  put(os, 'cpus', () => cpus().map((cpu) => ({ ...cpu, speed: 0, times: { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 } })));
  put(os, 'freemem', () => 2 ** 30);
  put(os, 'loadavg', () => [0, 0, 0]);
  put(os, 'uptime', () => elapsed() / 1000);
  syncBuiltinESMExports();
}

/** Use the run's time for formatting without a date. */
export function formatDeterministically(current) {
  const shape = Intl.DateTimeFormat.prototype;
  const { get } = Object.getOwnPropertyDescriptor(shape, 'format');
  const { formatToParts } = shape;
  const known = new WeakMap();
  Object.defineProperty(shape, 'format', {
    configurable: true,
    get() {
      const real = apply(get, this, []);
      if (!known.has(this)) known.set(this, (date) => real(date === undefined ? current().read() : date));
      return known.get(this);
    },
  });
  put(shape, 'formatToParts', function (date) {
    return apply(formatToParts, this, [date === undefined ? current().read() : date]);
  });
}
