// Stacks in the user's own files: compiled positions are mapped back, and frames of the host and Node are removed.
import { SourceMap } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import path from 'node:path';
import { includes, mapGet, mapSet, parseJson, readFileSync, replace } from './intrinsics.mjs';

// As a path and as a URL, which differ if a name has characters that URLs escape.
const HOST = path.dirname(fileURLToPath(import.meta.url));
const HOST_URL = pathToFileURL(HOST).href;
const scripts = new Map(); // base name of the compiled file -> {name, mapFile, map}
let runtime = '';
let runtimeUrl = '';

let compiled = null; // matches a compiled script wherever it is named, with line and column if they follow

// Every pattern here starts with fixed text: without it, the time is quadratic on long lines without spaces, such as
// base64.
export function setRuntime(directory) {
  runtime = directory;
  runtimeUrl = pathToFileURL(directory).href;
  const places = [runtimeUrl, runtime].map(RegExp.escape).join('|');
  compiled = new RegExp(`(?:${places})[\\\\/]handlers[\\\\/](?:[0-9a-f]{16}[\\\\/])?([^\\\\/()\\s:?'"]+\\.[cm]js)(?:\\?\\d+)?(?::(\\d+)(?::(\\d+))?)?`, 'g');
}

export function register(script) {
  mapSet(scripts, path.basename(script.file), { name: script.name, mapFile: script.map, map: undefined });
}

function sourceMap(script) {
  if (script.map === undefined) {
    try {
      script.map = new SourceMap(parseJson(readFileSync(script.mapFile, 'utf8')));
    } catch {
      script.map = null;
    }
  }
  return script.map;
}

function locate(whole, base, line, column) {
  const script = mapGet(scripts, base);
  if (script === undefined) return whole;
  if (line === undefined) return script.name;
  const entry = sourceMap(script)?.findEntry(line - 1, (column ?? 1) - 1);
  if (entry?.originalLine === undefined) return `${script.name}:${line}${column ? `:${column}` : ''}`;
  return `${script.name}:${entry.originalLine + 1}${column ? `:${entry.originalColumn + 1}` : ''}`;
}

const isFrame = (line) => /^\s+at /.test(line);
const isForeign = (line) => includes(line, HOST) || includes(line, HOST_URL) || includes(line, 'node:internal') || includes(line, '(node:')
  || /^\s+at (?:async )?node:/.test(line) || /^\s+at (?:async )?(?:<anonymous>|new Promise \(<anonymous>\))$/.test(line);

/** Text with the names of source files instead of compiled files, and without the directory of installed packages. */
export function plainPaths(value) {
  if (runtime === '' || !(includes(value, runtime) || includes(value, runtimeUrl))) return value;
  let plain = replace(value, compiled, locate);
  for (const place of [`${runtimeUrl}/`, `${runtime}${path.sep}`]) plain = plain.replaceAll(place, '');
  return plain.replaceAll(runtimeUrl, '.').replaceAll(runtime, '.');
}

/** The installed package that a file belongs to, or ''. */
export function packageOf(file) {
  const found = /^(?:.*[\\/])?node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/]/.exec(file);
  return found ? found[1].replaceAll('\\', '/') : '';
}

export function isInstalled(name) {
  try {
    readFileSync(path.join(runtime, 'node_modules', name, 'package.json'));
    return true;
  } catch {
    return false;
  }
}

/** The installed packages whose install scripts did not run. */
export function skippedScripts() {
  try {
    return parseJson(readFileSync(path.join(runtime, '.ckfunc-installed'), 'utf8')).skipped;
  } catch {
    return [];
  }
}

// What Node's inspect puts behind the last frame: " {" before further properties, "," between errors of a list.
const AFTER_FRAME = /:\d+\)?([ ,{}[\]]+)$/;

/** A stack without frames of the host and Node. */
export function tidyFrames(value) {
  const lines = [];
  for (const line of value.split('\n')) {
    if (!(isFrame(line) && isForeign(line))) lines.push(line);
    else if (lines.length) lines[lines.length - 1] += AFTER_FRAME.exec(line)?.[1] ?? '';
  }
  return plainPaths(lines.join('\n'));
}

/** Text that may contain a stack, with positions in the user's files. */
export function tidy(value) {
  return includes(value, '\n') ? tidyFrames(value) : plainPaths(value);
}
