// Removal of the state that runs leave in a process, so that the next run starts as in a new process. If some state may
// remain, the process is not used again. The snapshot is taken before any user code runs.
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
const sameDescriptor = (before, now) =>
  is(before.value, now.value) && before.get === now.get && before.set === now.set &&
  before.writable === now.writable && before.enumerable === now.enumerable && before.configurable === now.configurable;

/** The original state of an object: its properties, and whether it is extensible. */
class Original {
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
  #originals = new Map(); // object -> Original
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
    this.#originals.delete(process.env);
    this.#originals.delete(require.cache);
    this.#originals.set(process, new Original(process, (key) => typeof key === 'string' && !key.startsWith('_')));
    this.#modules = new Set(Object.keys(require.cache));
    this.#listeners = this.#countListeners();
    this.#running = this.#countRunning();
  }

  /** Remove the state of earlier runs, whose scripts are `files`. Return the reason if that is not possible, or ''. */
  remove(files) {
    if (cwd() !== this.#cwd || umask() !== this.#umask) return 'the working directory or umask changed';
    const running = this.#countRunning();
    if (running > this.#running) return 'a timer, server, worker or process is still active';
    if (this.#countListeners() !== this.#listeners) return 'listeners of the process changed';
    const why = this.#unloadModules(files);
    if (why) return why;
    this.#restoreEnvironment();
    let changed = false;
    for (const original of this.#originals.values()) {
      const key = original.restore();
      if (key !== null) return `${String(key)} cannot be restored`;
      changed ||= original.changed;
      original.changed = false;
    }
    if (changed) syncBuiltinESMExports();
    return '';
  }

  /** Unload the modules that were loaded since the snapshot. */
  #unloadModules(files) {
    const { cache } = this.#require;
    const added = Object.keys(cache).filter((file) => !this.#modules.has(file));
    for (const file of added) {
      const module = cache[file];
      if (file.endsWith('.node') || isModuleNamespaceObject(module.exports)) return `${file} cannot be unloaded`;
      // Modules of the platform's own packages stay loaded, and a run could have changed them.
      if (module.children.some((child) => this.#modules.has(child.filename))) return `${file} uses a package of the platform`;
      if (!files.has(file) && importsMore(file)) return `modules that ${file} imports cannot be unloaded`;
    }
    for (const file of this.#modules) if (!cache[file]) return `${file} was unloaded`;
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
    if (!this.#originals.has(object)) this.#originals.set(object, new Original(object));
  }

  #countRunning() {
    return getActiveResources().filter((resource) => RUNNING.has(resource)).length;
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
