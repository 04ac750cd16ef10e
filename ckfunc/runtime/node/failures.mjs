// Descriptions of errors: name, a sentence, and a stack in the user's own files with all properties and causes.
import { includes, inspect, text, wellFormed } from './intrinsics.mjs';
import { isInstalled, packageOf, plainPaths, skippedScripts, tidy, tidyFrames } from './stacks.mjs';

const LONGEST = 16_384; // characters of a message
const LONGEST_STACK = 65_536;
const MOST_TOGETHER = 10; // errors of an AggregateError that are described
const MOST_ERRORS = 100; // errors that are described in all: causes, causes of causes, …
const LONGEST_EXPLANATION = 500;
const DENIED = {
  ChildProcess: 'handlers cannot start other processes here',
  FileSystemRead: 'handlers can only read their installed packages and the temporary directory',
  FileSystemWrite: 'handlers can only write to the temporary directory (os.tmpdir())',
};

export class HostError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

const cut = (value, longest) =>
  (value.length > longest ? `${value.slice(0, longest)}… ${value.length - longest} more characters` : value);
const withoutTokens = (value) => value.replace(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, '$1 ••••');
const clean = (value, longest = LONGEST) => wellFormed(cut(withoutTokens(value), longest));

function read(value, field) {
  try {
    const found = value[field];
    return found === undefined || found === null ? '' : text(found);
  } catch {
    return '';
  }
}

function parsed(data) {
  const body = ArrayBuffer.isView(data) || data instanceof ArrayBuffer ? Buffer.from(data).toString() : data;
  if (typeof body !== 'string') return body;
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** The server's explanation of a refused request, or ''. */
function explanation(data) {
  const body = parsed(data);
  if (typeof body === 'string') return body.length > 300 || /^\s*</.test(body) ? '' : body.trim();
  if (body === null || typeof body !== 'object' || typeof body.pipe === 'function') return '';
  const words = [];
  for (const field of ['message', 'error_description', 'detail', 'explanation', 'title', 'error']) {
    const value = body[field];
    if (typeof value !== 'string' || value === '' || words.includes(value)) continue;
    // `error` and `title` are only codes, used when there is no other text.
    if (words.length === 0 || (field !== 'error' && field !== 'title')) words.push(value);
  }
  if (words.length) return words.join(': ');
  return Object.keys(body).length ? cut(inspect(body, { depth: 4, breakLength: Infinity }), LONGEST_EXPLANATION) : '';
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
  if (response === null || typeof response !== 'object') return `${what} got no response: ${read(error, 'message')}`;
  const said = explanation(response.data);
  return `${what} failed with status ${response.status}${said ? `: ${said}` : ''}`;
}

function denied(error) {
  if (error.code !== 'ERR_ACCESS_DENIED') return '';
  const why = DENIED[error.permission] ?? 'handlers are not allowed to do this';
  return error.resource ? `${why} (${plainPaths(text(error.resource))})` : why;
}

function missing(error) {
  if (error.code !== 'MODULE_NOT_FOUND' && error.code !== 'ERR_MODULE_NOT_FOUND') return '';
  const found = /Cannot find (?:module|package) '([^']+)'/.exec(read(error, 'message'));
  if (!found) return '';
  if (!/^[./]|^file:|^[A-Za-z]:\\/.test(found[1])) {
    const name = packageOf(`node_modules/${found[1]}/`);
    return isInstalled(name)
      ? `the package ${name} has no module ${found[1]}${unscripted(name)}`
      : `the package ${name} is not installed: add it to the runtime's dependencies`;
  }
  const within = packageOf(found[1]);
  if (within) return `the package ${within} has no file ${plainPaths(found[1]).slice(`node_modules/${within}/`.length)}${unscripted(within)}`;
  const owner = packageOf(requirer(error));
  return owner
    ? `the package ${owner} has no file ${plainPaths(found[1])}${unscripted(owner)}`
    : `cannot find ${plainPaths(found[1])}: a handler can only import installed packages`;
}

/** The file that imported a missing module. */
function requirer(error) {
  const stack = error.requireStack;
  if (Array.isArray(stack) && stack.length > 0) return text(stack[0]);
  const file = / imported from (.+)/.exec(read(error, 'message'))?.[1] ?? '';
  return file.startsWith('file:') ? decodeURI(file) : file;
}

/** Advice for a package whose install script did not run, as the end of a sentence; or ''. */
function unscripted(name) {
  if (!skippedScripts().includes(name)) return '';
  const entry = name.startsWith('@') ? `"${name}"` : name;
  return `: its install script did not run; add \`allow_scripts: [${entry}]\` under \`runtime\` in functions.yaml to run it`;
}

const ABOUT_BUILDS = /bindings|prebuil|\.node\b|native|binar|\bbuil[dt]|install|dlopen/i;

/** The message of an error. If it is about a missing build, it names the package whose install script did not run. */
function advised(error, message) {
  if (!ABOUT_BUILDS.test(message)) return message;
  const owners = read(error, 'stack').split('\n').map((line) => (/^\s+at /.test(line) ? packageOf(line) : ''));
  const name = skippedScripts().find((skipped) => owners.includes(skipped));
  return name === undefined ? message : `${message.split('\n')[0]} (package ${name}${unscripted(name)})`;
}

const thrownTogether = (error) => error instanceof AggregateError && Array.isArray(error.errors) && error.errors.length > 0;

/** The first three messages of an AggregateError, such as of Promise.any. */
function together(errors) {
  const messages = errors.slice(0, 3).map((inner) => plainPaths((inner && read(inner, 'message')) || shown(inner)));
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
    return denied(error) || missing(error) || request(error, apiUrl) || advised(error, plain(error));
  } catch {
    return read(error, 'message');
  }
}

const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');
const isError = (value) => isObject(value) && (value instanceof Error || ('message' in value && 'stack' in value));

/** The frames of an error, and other lines of its stack except name and message. */
function framesOf(error) {
  const stack = read(error, 'stack');
  const message = read(error, 'message');
  const first = stack.search(/^[ \t]+at /m);
  // A stack may begin with source code, which can contain the message too.
  const said = message === '' ? -1 : first < 0 ? stack.indexOf(message) : stack.lastIndexOf(message, first);
  const known = said >= 0;
  const head = known ? stack.slice(0, said) : stack.slice(0, first < 0 ? stack.length : first);
  const rest = known ? stack.slice(said + message.length) : stack.slice(head.length);
  const above = head.split('\n');
  if (known) above.pop(); // the name; a SyntaxError has the place and the source above it
  else if (message === '' || includes(message, head.trim().replace(/^[^\n]*?: /, ''))) above.length = 0; // the former message
  return tidyFrames([...above, ...rest.split('\n')].filter((line) => line.trim() !== '').join('\n'));
}

const DESCRIBED = new Set(['name', 'message', 'stack', 'cause']);
const OF_REQUESTS = new Set(['config', 'request', 'options', 'headers', 'isAxiosError']); // large, and full of credentials

/** The errors in properties of an error: [[lead, error], …], and the names of the properties. */
function partsOf(error) {
  const parts = [];
  const names = new Set();
  if (thrownTogether(error)) {
    names.add('errors');
    const count = error.errors.length;
    error.errors.slice(0, MOST_TOGETHER).forEach((inner, at) => parts.push([`Error ${at + 1} of ${count}: `, inner]));
    if (count > MOST_TOGETHER) parts.push([`… ${count - MOST_TOGETHER} more errors`]);
  }
  if (typeof SuppressedError === 'function' && error instanceof SuppressedError) {
    for (const [name, lead] of [['error', 'Thrown: '], ['suppressed', 'Suppressed: ']]) {
      names.add(name);
      parts.push([lead, error[name]]);
    }
  }
  return { parts, names };
}

function answerOf(response) {
  const told = {};
  for (const key of ['status', 'statusCode', 'data', 'body']) {
    if (response[key] !== undefined) told[key] = response[key];
  }
  return told;
}

/** The other properties of an error, such as `code`, as an object literal, or ''. */
function propertiesOf(error, others) {
  const found = {};
  for (const key of Object.keys(error)) {
    if (DESCRIBED.has(key) || OF_REQUESTS.has(key) || others.has(key)) continue;
    const property = Object.getOwnPropertyDescriptor(error, key);
    if (!('value' in property) || property.value === undefined || typeof property.value === 'function') continue;
    if (key === 'response' && isObject(property.value)) {
      if (!isObject(error.config) || !('url' in error.config)) found.response = answerOf(property.value); // else the message says it
    } else {
      found[key] = property.value;
    }
  }
  return Object.keys(found).length ? tidy(inspect(found, { depth: 3 })) : '';
}

const indented = (value, by) => value.split('\n').map((line) => (line === '' ? line : by + line)).join('\n');

/** The details of an error besides name and message: frames, properties, nested errors and causes. */
function carried(error, apiUrl, seen) {
  const sections = [];
  const section = (make) => {
    try {
      const made = make();
      if (made) sections.push(made);
    } catch {
      // a section that cannot be read is left out
    }
  };
  seen.add(error);
  section(() => (isError(error) ? framesOf(error) : ''));
  let found = { parts: [], names: new Set() };
  section(() => { found = partsOf(error); });
  section(() => indented(propertiesOf(error, found.names), '    '));
  for (const [lead, inner] of found.parts) section(() => indented(block(lead, inner, apiUrl, seen), '  '));
  section(() => (error.cause !== undefined ? block('Caused by: ', error.cause, apiUrl, seen) : ''));
  return sections.join('\n');
}

/** A nested error or thrown value; `lead` introduces it. */
function block(lead, thrown, apiUrl, seen) {
  if (thrown === undefined && lead.startsWith('…')) return lead;
  if (!isError(thrown)) return `${lead}${cut(typeof thrown === 'string' ? plainPaths(thrown) : shown(thrown), LONGEST)}`;
  const name = read(thrown, 'name') || 'Error';
  const message = cut(sentence(thrown, apiUrl), LONGEST);
  const head = `${lead}${message ? `${name}: ${message}` : name}`;
  if (seen.has(thrown)) return `${head} [described above]`;
  if (seen.size >= MOST_ERRORS) return `${head}\n… further errors are left out`;
  const more = carried(thrown, apiUrl, seen);
  return more ? `${head}\n${more}` : head;
}

function stackOf(error, name, message, apiUrl) {
  const more = carried(error, apiUrl, new Set());
  return more.trim() ? `${message ? `${name}: ${message}` : name}\n${more}` : '';
}

function shown(value) {
  try {
    return tidy(inspect(value, { depth: 2 }));
  } catch {
    return 'a value that cannot be shown';
  }
}

/** Describe a thrown value; never throws. `lead` is its origin, such as "Unhandled rejection". */
export function describe(thrown, { apiUrl = '\u0000', lead = '' } = {}) {
  const before = lead ? `${lead}: ` : '';
  try {
    if (thrown === null || (typeof thrown !== 'object' && typeof thrown !== 'function')) {
      const what = typeof thrown === 'string' ? thrown : shown(thrown);
      return { name: 'Error', message: clean(`${before}${what}`), stack: '' };
    }
    const name = clean((isError(thrown) && read(thrown, 'name')) || 'Error');
    const said = isError(thrown) ? sentence(thrown, apiUrl) : read(thrown, 'message');
    if (!isError(thrown) && !said) return { name, message: clean(`${before}${shown(thrown)}`), stack: '' };
    const message = clean(`${before}${said}`); // shortened before the frames follow
    return { name, message: message || name, stack: clean(stackOf(thrown, name, message, apiUrl), LONGEST_STACK) };
  } catch {
    return { name: 'Error', message: `${before}a value that cannot be described was thrown`, stack: '' };
  }
}
