// Where in the user's own files an error happened: compiled positions are mapped back, and frames that are not the
// user's (the host, Node's inside) are left out.
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { includes, mapGet, mapSet, parseJson, readFileSync, replace } from './intrinsics.mjs';

const HOST = path.dirname(fileURLToPath(import.meta.url));
const scripts = new Map(); // base name of the compiled file -> {name, mapFile, map}
let runtime = '';

const POSITION = /(\(|at (?:async )?|^(?!\s))((?:file:\/\/)?[^()\n]*?[\\/]([^\\/()\n:?]+\.[cm]js))(?:\?\d+)?:(\d+)(?::(\d+))?/gm;

export function setRuntime(directory) {
  runtime = directory;
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

function locate(whole, lead, file, base, line, column) {
  const script = mapGet(scripts, base);
  if (script === undefined) return whole;
  const entry = sourceMap(script)?.findEntry(line - 1, (column ?? 1) - 1);
  if (entry?.originalLine === undefined) return `${lead}${script.name}:${line}${column ? `:${column}` : ''}`;
  return `${lead}${script.name}:${entry.originalLine + 1}${column ? `:${entry.originalColumn + 1}` : ''}`;
}

const named = (whole, url, base) => mapGet(scripts, base)?.name ?? whole;

const isFrame = (line) => /^\s+at /.test(line);
const isForeign = (line) => includes(line, HOST) || includes(line, 'node:internal') || includes(line, '(node:')
  || /^\s+at (?:async )?node:/.test(line) || /^\s+at (?:async )?(?:<anonymous>|new Promise \(<anonymous>\))$/.test(line);

/** Text with compiled files named as the user knows them, and without the directory of the installed packages. */
export function plainPaths(value) {
  if (runtime === '' || !includes(value, runtime)) return value;
  const names = /((?:file:\/\/)?[^\s()'"]*[\\/]([^\\/()\s:?'"]+\.[cm]js))(?:\?\d+)?/g;
  let plain = replace(value, POSITION, locate);
  plain = replace(plain, names, named);
  return plain.replaceAll(`file://${runtime}`, '').replaceAll(`${runtime}${path.sep}`, '').replaceAll(runtime, '.');
}

/** A stack, or any text that holds one, as the user should read it. */
export function tidy(value) {
  if (!includes(value, '\n')) return plainPaths(value);
  return plainPaths(value.split('\n').filter((line) => !(isFrame(line) && isForeign(line))).join('\n'));
}
