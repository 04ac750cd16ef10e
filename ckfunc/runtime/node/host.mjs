// The process that runs the handlers of a function: reads frames from ckfunc, and responds with `done` or `failed`.
// node host.mjs INPUT_FD OUTPUT_FD SEAL_BYTES COMPILE_CACHE
import { AsyncLocalStorage } from 'node:async_hooks';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { BuiltIns } from './builtins.mjs';
import { labelRequests } from './calls.mjs';
import { openChannel } from './channel.mjs';
import { Output, capture } from './consoles.mjs';
import { contexts } from './context.mjs';
import { HostError, describe } from './failures.mjs';
import { byteLength, includes, mapDelete, mapGet, mapSet, now, parseJson, replace, toJson } from './intrinsics.mjs';
import { loadHandler, requireFrom, runInitScript } from './modules.mjs';
import { setRuntime } from './stacks.mjs';

const [input, output, sealBytes, compileCache] = process.argv.splice(1, 5).slice(1);
if (compileCache) enableCompileCache(compileCache);

const RECHECK_MS = 50; // timers of earlier runs may replace built-ins later
const later = setImmediate;
const runs = new AsyncLocalStorage();
// `run` calls these two. As own properties they do not change, even if a handler changes the class.
runs.getStore = AsyncLocalStorage.prototype.getStore;
runs.enterWith = AsyncLocalStorage.prototype.enterWith;
const getRun = runs.getStore.bind(runs);
const enterRun = runs.run.bind(runs);
const handlers = new Map(); // token of a version -> its handleEvent
const exited = new HostError('ProcessExit', 'the handler ended its process');
let limits = { resultBytes: 0, consoleBytes: 65_536 };
let apiUrl = '';
let require = null;
let makeContext = null;
let repeatable = null; // deterministic.mjs, if runs must be repeatable
let settle = false; // whether a run's result waits for requests that the run did not await
let builtIns = null; // builtins.mjs, to detect replaced built-ins
let noted = false; // whether the original state is recorded
let checkedAt = 0; // time of the last check
let unchecked = false; // whether a run has ended since
let spoiled = false; // whether a built-in was replaced: then no more runs start here
let leftovers = null; // leftovers.mjs, if independent runs share a process
let coverage = null; // coverage.mjs, if the coverage of scripts is measured
const scripts = new Set(); // the files of handlers and init scripts
let outsideDeterminism = null; // clock and seed of code outside of runs; null: everything uses those of the machine

const emit = (id, level, line, extra) => send({ op: 'log', id, level, ...extra }, line);
let outside = new Output(0, limits.consoleBytes, emit); // output outside of runs
const currentOutput = () => getRun()?.output ?? outside;
const currentDeterminism = () => getRun()?.determinism ?? outsideDeterminism;

/** Check that built-ins are unchanged, and report to ckfunc once if they are not. */
function check() {
  unchecked = false;
  checkedAt = now();
  if (spoiled || !noted || builtIns.changed() === '') return;
  spoiled = true;
  send({ op: 'spoiled' });
}

function finish(run, header, body) {
  if (run.done) return;
  run.done = true;
  if (run.output !== outside && !unchecked) {
    unchecked = true;
    later(() => unchecked && check());
  }
  try {
    run.output.flush();
  } catch {
    // the result is sent even if a handler broke the functions for output
  }
  const answer = { id: run.id, ms: now() - run.start, ...header };
  const respond = () => {
    if (coverage) report();
    if (run.output !== outside) run.output.ended(run.label);
    send(answer, body);
  };
  const counted = run.determinism ?? (settle ? run : null);
  if (!counted || counted.open === undefined) return respond();
  return repeatable.quiet(counted).then(() => {
    run.output.flush();
    respond();
  });
}

/** Send what ran since the last report: a host that is killed reports nothing more. */
function report() {
  try {
    const ran = coverage.take();
    if (ran) send({ op: 'coverage' }, ran);
  } catch {
    // the result is sent even if a handler broke the functions for the report
  }
}

const fail = (run, thrown, lead) => finish(run, { op: 'failed', error: { __proto__: null, ...describe(thrown, { apiUrl, lead }) } });

function resultText(value) {
  if (typeof value === 'function' || typeof value === 'symbol') {
    throw new HostError('ResultError', `the handler returned a ${typeof value}, which JSON cannot represent`);
  }
  let text;
  try {
    text = toJson(value) ?? 'null';
  } catch (error) {
    const why = describe(error).message.split('\n')[0];
    throw new HostError('ResultError', `the handler's result cannot be converted to JSON: ${why}`);
  }
  if (includes(text, '\\ud')) text = replace(text, /\\(?:ud[0-9a-f]{3}|.)/g, (escape) => (escape.length > 2 ? '\ufffd' : escape));
  const size = byteLength(text);
  if (size > limits.resultBytes) {
    throw new HostError('ResultError', `the handler's result is ${size} bytes of JSON, more than the ${limits.resultBytes} allowed`);
  }
  return text;
}

async function handle(run, handler, event) {
  try {
    const call = run.inspect ? await debugged(run, handler) : handler;
    finish(run, { op: 'done' }, resultText(await call(parseJson(event), makeContext())));
  } catch (error) {
    fail(run, error);
  }
}

async function debugged(run, handler) {
  const inspector = await import('node:inspector');
  // Opened only now, since waiting would not detect a debugger that attached earlier.
  if (inspector.url()) inspector.waitForDebugger();
  else inspector.open(run.inspect, '127.0.0.1', true);
  run.start = now();
  return (event, context) => {
    debugger; // the next line calls your handler: step into it
    return handler(event, context);
  };
}

function stray(thrown, lead) {
  if (thrown === exited) return;
  const run = getRun();
  if (run && !run.done) return fail(run, thrown, lead);
  const error = describe(thrown, { apiUrl, lead });
  currentOutput().line('error', error.stack || `${error.name}: ${error.message}`);
}

const operations = {
  async init({ runtime, environment, access, limits: given, determinism, network, settle: settling, renewable, keepCode, covered }) {
    limits = given;
    apiUrl = access.basePath;
    outside = new Output(0, limits.consoleBytes, emit);
    Object.assign(process.env, environment);
    setRuntime(runtime);
    settle = settling;
    if (determinism || settle || !network) repeatable = await import('./deterministic.mjs');
    if (!network) repeatable.blockNetwork(apiUrl, (where) => currentOutput().line('warn', `network access blocked: ${where}`));
    if (determinism) {
      outsideDeterminism = new repeatable.Determinism(determinism);
      repeatable.becomeDeterministic(currentDeterminism);
      repeatable.countRequests(currentDeterminism);
    } else if (settle) {
      repeatable.countRequests(() => getRun() ?? { open: 0 });
    }
    require = globalThis.require = requireFrom(runtime);
    labelRequests(apiUrl, getRun);
    makeContext = contexts(require, access);
    if (keepCode) flushCompileCache();
    if (covered) coverage = new (await import('./coverage.mjs')).Coverage();
    if (!renewable) {
      builtIns = new BuiltIns();
      return;
    }
    const { ChatKitty } = makeContext();
    leftovers = new (await import('./leftovers.mjs')).Leftovers(require, ChatKitty ? [ChatKitty] : []);
  },
  async renew() {
    const why = leftovers ? leftovers.remove(scripts) : 'the original state is not recorded';
    if (why) throw new HostError('LeftOver', `the state of earlier runs cannot be removed: ${why}`);
  },
  async script({ script, determinism }) {
    if (determinism) outsideDeterminism = new repeatable.Determinism(determinism);
    scripts.add(script.file);
    coverage?.add(script);
    await runInitScript(require, script);
  },
  async load({ token, script, drop, determinism }) {
    if (determinism) outsideDeterminism = new repeatable.Determinism(determinism); // so that modules load the same way in every process
    for (const old of drop) mapDelete(handlers, old);
    scripts.add(script.file);
    coverage?.add(script);
    mapSet(handlers, token, await loadHandler(require, script));
    builtIns?.note(); // changes of built-ins during loading are intended
    noted = builtIns !== null;
    outside.flush();
    later(flushCompileCache); // a host that is killed writes no cache
  },
};

async function operate(header) {
  const run = { id: header.id, start: now(), done: false, output: outside };
  try {
    await operations[header.op](header);
    finish(run, { op: 'done' });
  } catch (error) {
    fail(run, error);
  }
}

function receive(header, body) {
  if (header.op === 'invoke' || header.op === 'load') {
    if (unchecked || now() - checkedAt > RECHECK_MS) check();
    if (spoiled) return send({ op: 'again', id: header.id });
    send({ op: 'begun', id: header.id });
  }
  if (header.op !== 'invoke') return operate(header);
  const { id, label, inspect } = header;
  outside.renew();
  const run = { id, label, inspect, open: 0, start: now(), done: false, output: new Output(id, limits.consoleBytes, emit) };
  if (outsideDeterminism) run.determinism = new repeatable.Determinism(header.determinism ?? outsideDeterminism.origin);
  return enterRun(run, handle, run, mapGet(handlers, header.token), body);
}

process.on('unhandledRejection', (reason) => stray(reason, 'Unhandled rejection'));
process.on('uncaughtException', (error) => stray(error, 'Uncaught exception'));
process.exit = (code) => {
  const run = getRun();
  const error = new HostError('ProcessExit', `the handler called process.exit(${code ?? ''})`);
  if (!run) throw error;
  fail(run, error);
  throw exited;
};
// Where the kernel does not restrict signals (see confinement.py), this restricts those that JavaScript sends from this thread.
const { _kill: kill, pid } = process;
const EPERM = process.platform === 'win32' ? -4048 : -1; // as libuv numbers it
process._kill = (target, signal) => (target === pid || target === 0 || target === -pid ? kill(target, signal) : EPERM);
capture(currentOutput);
const send = openChannel({ input: Number(input), output: Number(output), sealBytes: Number(sealBytes) }, receive);
send({ op: 'ready' });
