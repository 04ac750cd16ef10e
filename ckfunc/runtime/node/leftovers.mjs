// Removal of the state that runs leave in a process, so that the next run starts as in a new one. State that cannot be
// removed for certain is reported: then the process is not used again. The snapshot is taken before any user code runs.
import Module, { builtinModules, syncBuiltinESMExports } from 'node:module';
import { readFileSync } from 'node:fs';
import { types } from 'node:util';

const { getOwnPropertyDescriptor, defineProperty, deleteProperty, ownKeys, getPrototypeOf, isExtensible } = Reflect;
const { is } = Object;
const { isModuleNamespaceObject } = types;
const getActiveResources = process.getActiveResourcesInfo.bind(process);
const cwd = process.cwd.bind(process);
const umask = process.umask.bind(process);
const listenerCount = process.listenerCount.bind(process);
const eventNames = process.eventNames.bind(process);

// Resources that stay active; connections that the platform's SDK keeps open are allowed.
const RUNNING = new Set(['Timeout', 'Immediate', 'MessagePort', 'Worker', 'TCPServerWrap', 'PipeServerWrap', 'UDPWrap', 'FSEvent', 'StatWatcher', 'ProcessWrap', 'SignalWrap']);
const DYNAMIC_IMPORT = /\bimport\s*\(/;
const importing = new Map(); // file of a package -> whether it imports other modules irreversibly

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';
const sameDescriptor = (one, other) =>
  is(one.value, other.value) && one.get === other.get && one.set === other.set &&
  one.writable === other.writable && one.enumerable === other.enumerable && one.configurable === other.configurable;

/** The original state of an object: its properties, and whether it is extensible. */
class Kept {
  constructor(object, counts = () => true) {
    this.object = object;
    this.counts = counts; // which of its keys are compared
    this.prototype = getPrototypeOf(object);
    this.extensible = isExtensible(object);
    this.properties = new Map(ownKeys(object).filter(counts).map((key) => [key, getOwnPropertyDescriptor(object, key)]));
  }

  /** Restore it; return the name of a property that cannot be restored, or null. */
  restore() {
    const { object, properties } = this;
    if (getPrototypeOf(object) !== this.prototype || isExtensible(object) !== this.extensible) return '(prototype)';
    for (const key of ownKeys(object)) {
      if (!this.counts(key)) continue;
      const before = properties.get(key);
      if (!before) {
        if (!deleteProperty(object, key)) return key;
        this.changed = true;
      } else if (!sameDescriptor(before, getOwnPropertyDescriptor(object, key))) {
        if (!defineProperty(object, key, before)) return key;
        this.changed = true;
      }
    }
    for (const [key, before] of properties) {
      if (getOwnPropertyDescriptor(object, key)) continue;
      if (!defineProperty(object, key, before)) return key;
      this.changed = true;
    }
    return null;
  }
}

export class Leftovers {
  #require;
  #kept = new Map(); // object -> Kept
  #environment = { ...process.env };
  #listeners;
  #modules;
  #running;
  #cwd = cwd();
  #umask = umask();

  /** `require` is that of handlers, `objects` are passed to every handler. */
  constructor(require, objects) {
    this.#require = require;
    void globalThis.Headers; // its lazy loading adds to the global object
    this.#watchAll(globalThis);
    const loaded = new Set(process.moduleLoadList);
    for (const name of builtinModules) {
      if (!name.startsWith('_') && loaded.has(`NativeModule ${name}`) && name !== 'process') this.#watchAll(require(`node:${name}`));
    }
    for (const object of [Module._extensions, getPrototypeOf(Int8Array), getPrototypeOf(Int8Array.prototype), getPrototypeOf([][Symbol.iterator]())]) this.#watch(object);
    for (const object of [getPrototypeOf(function* () {}), getPrototypeOf(async function* () {}), getPrototypeOf(async () => {})]) this.#watchAll(object);
    for (const object of objects) this.#watchAll(object);
    this.#kept.delete(process.env);
    this.#kept.delete(require.cache);
    this.#kept.set(process, new Kept(process, (key) => typeof key === 'string' && !key.startsWith('_')));
    this.#modules = new Set(Object.keys(require.cache));
    this.#listeners = this.#countListeners();
    this.#running = this.#countRunning();
  }

  /** Remove the state of earlier runs, whose scripts are `files`; return why that is not possible, or ''. */
  takeOut(files) {
    if (cwd() !== this.#cwd || umask() !== this.#umask) return 'another working directory';
    const running = this.#countRunning();
    if (running > this.#running) return 'something that goes on by itself';
    if (this.#countListeners() !== this.#listeners) return 'a listener of the process';
    const why = this.#takeOutModules(files);
    if (why) return why;
    this.#restoreEnvironment();
    let changed = false;
    for (const kept of this.#kept.values()) {
      const key = kept.restore();
      if (key !== null) return `a change of ${String(key)}`;
      changed ||= kept.changed;
      kept.changed = false;
    }
    if (changed) syncBuiltinESMExports();
    return '';
  }

  /** Unload the modules that were loaded since the snapshot. */
  #takeOutModules(files) {
    const { cache } = this.#require;
    const added = Object.keys(cache).filter((file) => !this.#modules.has(file));
    for (const file of added) {
      const module = cache[file];
      if (file.endsWith('.node') || isModuleNamespaceObject(module.exports)) return `the module ${file}`;
      // Modules of the platform's own packages stay: a run could have changed them.
      if (module.children.some((child) => this.#modules.has(child.filename))) return 'a package of the platform in use';
      if (!files.has(file) && importsMore(file)) return `what ${file} imports`;
    }
    for (const file of this.#modules) if (!cache[file]) return `the loss of ${file}`;
    for (const file of added) delete cache[file];
    return '';
  }

  #restoreEnvironment() {
    for (const name of Object.keys(process.env)) if (!(name in this.#environment)) delete process.env[name];
    for (const [name, value] of Object.entries(this.#environment)) if (process.env[name] !== value) process.env[name] = value;
  }

  #watchAll(object) {
    this.#watch(object);
    for (const key of ownKeys(object)) {
      const { value } = getOwnPropertyDescriptor(object, key);
      if (!isObject(value)) continue;
      this.#watch(value);
      const prototype = getOwnPropertyDescriptor(value, 'prototype')?.value;
      if (isObject(prototype)) this.#watch(prototype);
    }
  }

  #watch(object) {
    if (!this.#kept.has(object)) this.#kept.set(object, new Kept(object));
  }

  #countRunning() {
    return getActiveResources().filter((one) => RUNNING.has(one)).length;
  }

  #countListeners() {
    return eventNames().map((name) => `${String(name)} ${listenerCount(name)}`).sort().join();
  }
}

function importsMore(file) {
  let found = importing.get(file);
  if (found === undefined) {
    try {
      found = DYNAMIC_IMPORT.test(readFileSync(file, 'utf8'));
    } catch {
      found = true;
    }
    importing.set(file, found);
  }
  return found;
}
