// Modules of compiled scripts, loaded for each version, with access to npm packages and the init script's exports.
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { HostError } from './failures.mjs';
import { register } from './stacks.mjs';

let count = 0;

export function requireFrom(directory) {
  return createRequire(path.join(directory, 'package.json'));
}

/** Load a script {file, map, name, kind}. Return its exports, and `handler`, the top-level function that ckfunc's last line exports. */
async function load(require, script) {
  register(script);
  if (script.kind === 'cjs') {
    delete require.cache[script.file];
    const exports = require(script.file);
    return { exports, handler: require.cache[script.file]?.ckfuncHandler };
  }
  count += 1;
  const exports = await import(`${pathToFileURL(script.file).href}?${count}`);
  return { exports, handler: exports.ckfuncHandler };
}

const GENERATORS = [function* () {}, async function* () {}].map((generator) => generator.constructor);
const classText = /^class\b/;

/** Whether a call runs the body, unlike for generators and classes. analysis.mjs checks the same before a deploy. */
function isHandler(value) {
  if (typeof value !== 'function' || GENERATORS.some((generator) => value instanceof generator)) return false;
  return !classText.test(Function.prototype.toString.call(value));
}

export async function loadHandler(require, script) {
  const { exports, handler } = await load(require, script);
  const found = handler ?? exports?.handleEvent ?? exports?.default?.handleEvent;
  if (isHandler(found)) return found;
  throw new HostError('HandlerMissing', `${script.name} does not define a function named handleEvent`);
}

/** Run the init script; its exports are globals of every handler, which may shadow them. */
export async function runInitScript(require, script) {
  const { exports } = await load(require, script);
  if (exports === null || (typeof exports !== 'object' && typeof exports !== 'function')) return;
  for (const name of Object.keys(exports)) {
    if (name === 'default' || name === 'ckfuncHandler') continue;
    Object.defineProperty(globalThis, name, {
      configurable: true,
      enumerable: false,
      get: () => exports[name],
      set: (value) => Object.defineProperty(globalThis, name, { value, writable: true, configurable: true }),
    });
  }
}
