// Precise coverage of handlers and init scripts, measured by V8's profiler in this process.
import { Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import { toJson } from './intrinsics.mjs';

export class Coverage {
  #session = new Session();
  #names = new Map(); // file of a script -> its name

  constructor() {
    this.#session.connect();
    this.#ask('Profiler.enable');
    this.#ask('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Measure a script {file, name}. */
  add(script) {
    this.#names.set(script.file, script.name);
  }

  /** Return as JSON what ran since the last call: a list of {name, ranges}, ranges being [start, end, count]; '' for nothing. */
  take() {
    const found = [];
    for (const { url, functions } of this.#ask('Profiler.takePreciseCoverage').result) {
      // An ES module has a number after its URL (see modules.mjs).
      const name = url.startsWith('file:') ? this.#names.get(fileURLToPath(url)) : undefined;
      if (name === undefined) continue;
      const ranges = functions.flatMap((each) => each.ranges.map(({ startOffset, endOffset, count }) => [startOffset, endOffset, count]));
      found.push({ name, ranges });
    }
    return found.length ? toJson(found) : '';
  }

  #ask(method, parameters) {
    let answer;
    this.#session.post(method, parameters, (error, result) => {
      if (error) throw new Error(error.message);
      answer = result; // a session with its own thread answers at once
    });
    return answer;
  }
}
