// What a failure says to the user: name, one sentence, and a stack in the user's own files.
import { inspect, text, wellFormed } from './intrinsics.mjs';
import { plainPaths, tidy, tidyFrames } from './stacks.mjs';

const LONGEST = 16_384;
const DENIED = {
  ChildProcess: 'handlers cannot start other processes here',
  FileSystemRead: 'handlers can read their installed packages and the temporary directory alone',
  FileSystemWrite: 'handlers can write to the temporary directory (os.tmpdir()) alone',
};

export class HostError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

const cut = (value) => (value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value);
const withoutTokens = (value) => value.replace(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, '$1 ••••');
const clean = (value) => wellFormed(cut(withoutTokens(value)));

function read(value, field) {
  try {
    const found = value[field];
    return found === undefined || found === null ? '' : text(found);
  } catch {
    return '';
  }
}

function explanation(data) {
  if (typeof data === 'string') return data.length > 300 || /^\s*</.test(data) ? '' : data.trim();
  if (data === null || typeof data !== 'object') return '';
  for (const field of ['message', 'error_description', 'detail', 'title', 'error']) {
    if (typeof data[field] === 'string' && data[field] !== '') return data[field];
  }
  return '';
}

function address(config, apiUrl) {
  const given = text(config.url ?? '');
  try {
    const url = new URL(given, config.baseURL || undefined);
    return text(apiUrl).startsWith(url.origin) ? url.pathname : `${url.origin}${url.pathname}`;
  } catch {
    return given.split('?')[0];
  }
}

/** The sentence for a failed request of axios (and so of the SDK), or '' for any other error. */
function request(error, apiUrl) {
  const { config, response } = error;
  if (config === null || typeof config !== 'object' || !('url' in config)) return '';
  const what = `${text(config.method ?? 'get').toUpperCase()} ${address(config, apiUrl)}`;
  if (response === null || typeof response !== 'object') return `${what} got no answer: ${read(error, 'message')}`;
  const said = explanation(response.data);
  return `${what} answered ${response.status}${said ? `: ${said}` : ''}`;
}

function denied(error) {
  if (error.code !== 'ERR_ACCESS_DENIED') return '';
  const why = DENIED[error.permission] ?? 'this is not allowed to handlers here';
  return error.resource ? `${why} (${text(error.resource)})` : why;
}

function missing(error) {
  if (error.code !== 'MODULE_NOT_FOUND' && error.code !== 'ERR_MODULE_NOT_FOUND') return '';
  const found = /Cannot find (?:module|package) '([^']+)'/.exec(read(error, 'message'));
  if (!found) return '';
  return /^[./]|^file:/.test(found[1])
    ? `cannot find ${plainPaths(found[1])}: a handler is one file, and can import installed packages alone`
    : `the package ${found[1]} is not installed: add it to the runtime's dependencies`;
}

const thrownTogether = (error) => error instanceof AggregateError && Array.isArray(error.errors) && error.errors.length > 0;

/** What was thrown together, such as by Promise.any: its first three messages. */
function together(errors) {
  const messages = errors.slice(0, 3).map((one) => plainPaths((one && read(one, 'message')) || shown(one)));
  return [...new Set(messages)].join('; ') + (errors.length > 3 ? ` … (${errors.length} in all)` : '');
}

function plain(error) {
  const message = plainPaths(read(error, 'message'));
  const cause = error.cause?.message;
  if (message === 'fetch failed' && typeof cause === 'string') return `${message}: ${cause}`;
  if (thrownTogether(error)) return `${message}${message && ': '}${together(error.errors)}`;
  if (/^Named export '.*' not found/.test(message)) return message.split('\n')[0]; // advice and code follow
  return message;
}

function sentence(error, apiUrl) {
  try {
    return denied(error) || missing(error) || request(error, apiUrl) || plain(error);
  } catch {
    return read(error, 'message');
  }
}

function because(error) {
  try {
    const { cause } = error;
    if (cause === null || typeof cause !== 'object') return '';
    return `\nCaused by: ${tidy(cut(read(cause, 'stack') || `${read(cause, 'name')}: ${read(cause, 'message')}`))}`;
  } catch {
    return '';
  }
}

function stackOf(error, name, message) {
  const stack = read(error, 'stack');
  const at = stack.search(/^[ \t]+at /m);
  const frames = at < 0 ? '' : tidyFrames(stack.slice(at));
  const head = message ? `${name}: ${message}` : name;
  const whole = frames.trim() ? `${head}\n${frames}` : '';
  return whole && whole + because(error);
}

function shown(value) {
  try {
    return tidy(inspect(value, { depth: 2 }));
  } catch {
    return 'a value that cannot be shown';
  }
}

/** Describe anything that was thrown; never throws. `lead` says how it got here, such as "Unhandled rejection". */
export function describe(thrown, { apiUrl = '\u0000', lead = '' } = {}) {
  const before = lead ? `${lead}: ` : '';
  try {
    if (thrown === null || (typeof thrown !== 'object' && typeof thrown !== 'function')) {
      const what = typeof thrown === 'string' ? thrown : shown(thrown);
      return { name: 'Error', message: clean(`${before}${what}`), stack: '' };
    }
    const isError = thrown instanceof Error || ('message' in thrown && 'stack' in thrown);
    if (!isError) return { name: 'Error', message: clean(`${before}${read(thrown, 'message') || shown(thrown)}`), stack: '' };
    const name = clean(read(thrown, 'name') || 'Error');
    const message = `${before}${sentence(thrown, apiUrl)}`;
    return { name, message: clean(message || name), stack: clean(stackOf(thrown, name, message)) };
  } catch {
    return { name: 'Error', message: `${before}something that cannot be described was thrown`, stack: '' };
  }
}
