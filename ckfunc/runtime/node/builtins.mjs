// Detection of replaced built-ins, which would affect the next run. The comparison uses only plain loops over arrays, so that
// it does not depend on replaced functions. The snapshot is taken before any user code runs.
import { createRequire } from 'node:module';

const { getOwnPropertyDescriptor, getPrototypeOf, ownKeys } = Reflect;
const { is } = Object;
const cwd = process.cwd.bind(process);
const umask = process.umask.bind(process);
const listeners = process.listeners.bind(process);
const require = createRequire(import.meta.url);

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

const CLASSES = [
  'Object', 'Function', 'Array', 'String', 'Number', 'Boolean', 'Symbol', 'BigInt', 'Date', 'Promise', 'RegExp', 'Error', 'Map', 'Set', 'WeakMap',
  'ArrayBuffer', 'Uint8Array', 'Buffer', 'URL', 'URLSearchParams', 'AbortController', 'EventTarget', 'TextEncoder', 'TextDecoder',
];
const NAMESPACES = ['JSON', 'Math', 'Reflect', 'Atomics', 'console', 'performance'];
const MODULES = ['crypto', 'dns', 'events', 'fs', 'http', 'https', 'net', 'path', 'timers', 'timers/promises', 'url', 'util'];
const PROCESS = ['binding', 'chdir', 'cwd', 'dlopen', 'emit', 'emitWarning', 'env', 'exit', 'hrtime', 'kill', 'nextTick', 'on', 'umask', '_kill'];
const OWN_LISTENERS = ['unhandledRejection', 'uncaughtException'];

export class BuiltIns {
  #objects; // the compared objects
  #keys; // their properties before user code; properties that user code adds are ignored
  #prototypes; // those that must not get additional properties
  #ours;
  #places; // object, key, value: three elements each
  #getters; // object, key, getter, setter: four elements each
  #counts; // object, how many properties it has: two elements each
  #cwd;
  #umask;

  /** The current listeners of the process belong to the host. */
  constructor() {
    const classes = CLASSES.map((name) => globalThis[name]);
    this.#prototypes = [
      ...classes.map((builtIn) => builtIn.prototype), require('node:events').prototype,
      getPrototypeOf([][Symbol.iterator]()), getPrototypeOf(new Map().entries()), getPrototypeOf(new Set().values()),
      getPrototypeOf(getPrototypeOf([][Symbol.iterator]())), getPrototypeOf(Int8Array.prototype),
      getPrototypeOf(async () => {}), getPrototypeOf(function* () {}).prototype, getPrototypeOf(async function* () {}).prototype,
    ];
    this.#objects = [
      globalThis, ...classes, ...NAMESPACES.map((name) => globalThis[name]), getPrototypeOf(Int8Array),
      ...MODULES.map((name) => require(`node:${name}`)), ...this.#prototypes,
    ];
    this.#keys = this.#objects.map((object) => ownKeys(object).filter((key) => object !== globalThis || typeof key === 'string'));
    this.#ours = OWN_LISTENERS.map((name) => listeners(name)[0]);
  }

  /** Expect the current state from now on. */
  note() {
    this.#places = [];
    this.#getters = [];
    this.#counts = [];
    const { length } = this.#objects;
    const first = length - this.#prototypes.length;
    for (let at = 0; at < length; at += 1) {
      const object = this.#objects[at];
      const keys = this.#keys[at];
      for (let index = 0; index < keys.length; index += 1) this.#noteProperty(object, keys[index], at >= first);
      if (at >= first) this.#counts.push(object, ownKeys(object).length);
    }
    for (const key of PROCESS) this.#noteProperty(process, key, false);
    this.#places.push(Error, 'prepareStackTrace', Error.prepareStackTrace);
    this.#cwd = cwd();
    this.#umask = umask();
  }

  #noteProperty(object, key, isPrototype) {
    const found = getOwnPropertyDescriptor(object, key);
    if (found === undefined || !(found.configurable || found.writable)) return;
    if (isObject(found.value)) this.#places.push(object, key, found.value);
    // The getters of the global object and of modules are lazy: they are replaced by a value on first access.
    else if (isPrototype && (found.get || found.set)) this.#getters.push(object, key, found.get, found.set);
  }

  /** Return the name of a changed built-in, or ''. */
  changed() {
    const places = this.#places;
    for (let at = 0; at < places.length; at += 3) {
      const found = getOwnPropertyDescriptor(places[at], places[at + 1]);
      if (!is(found === undefined ? found : found.value, places[at + 2])) return nameOf(places[at + 1]);
    }
    const getters = this.#getters;
    for (let at = 0; at < getters.length; at += 4) {
      const found = getOwnPropertyDescriptor(getters[at], getters[at + 1]);
      if (found === undefined || found.get !== getters[at + 2] || found.set !== getters[at + 3]) return nameOf(getters[at + 1]);
    }
    const counts = this.#counts;
    for (let at = 0; at < counts.length; at += 2) {
      if (ownKeys(counts[at]).length !== counts[at + 1]) return 'a property of all objects of a kind';
    }
    if (cwd() !== this.#cwd || umask() !== this.#umask) return 'the working directory';
    for (let at = 0; at < OWN_LISTENERS.length; at += 1) {
      const found = listeners(OWN_LISTENERS[at]);
      let present = false;
      for (let index = 0; index < found.length; index += 1) if (found[index] === this.#ours[at]) present = true;
      if (!present) return OWN_LISTENERS[at];
    }
    return '';
  }
}

const nameOf = (key) => (typeof key === 'symbol' ? 'a symbol' : key);
