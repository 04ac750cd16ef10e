// Compiles TypeScript to JavaScript for Node, or reports syntax errors.
// node --expose-internals --experimental-vm-modules compiler.mjs; frames on stdin and stdout.
//
// Node's public TypeScript stripper keeps imports that are only used as types, and has columns only in its messages. The
// swc build inside Node does better, so it is called directly where it is accessible.
import { statSync } from 'node:fs';
import { createRequire, isBuiltin, SourceMap, stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import { analyse, parse } from './analysis.mjs';
import { openChannel } from './channel.mjs';
import { Exports } from './exports.mjs';
import { statements } from './statements.mjs';

const require = createRequire(import.meta.url);
const WRAPPER = ['exports', 'require', 'module', '__filename', '__dirname'];
const MODULE_SYNTAX = /^\s*(?:import|export)\b|\bimport\.meta\b|\bawait\b/m;

function internal(load) {
  try {
    return load();
  } catch {
    return undefined;
  }
}
const swc = internal(() => require('internal/deps/amaro/dist/index').transformSync);
const acorn = internal(() => require('internal/deps/acorn/acorn/dist/acorn'));
const lexer = internal(() => require('internal/test/binding').internalBinding('cjs_lexer').parse);
const arrow = internal(() => require('internal/test/binding').internalBinding('util').privateSymbols.arrow_message_private_symbol);

class Problem extends Error {
  constructor(message, line, column) {
    super(message);
    this.at = { line, column };
  }
}

const sentence = (message) => message.replace(/^SyntaxError(?: \[\w+\])?: /, '').split('\n')[0].trim();

/** Line and column from the text that Node puts above a syntax error: "file:LINE", source lines, and a line of carets. */
function position(report) {
  const line = /^[^\n]*:(\d+)\n/.exec(report ?? '');
  if (!line) return { line: 0, column: 0 };
  const carets = /^( *\t*)[ \t]*\^/m.exec(report);
  return { line: Number(line[1]), column: carets ? carets[0].length : 1 };
}

function withInternals(name, source) {
  const plain = /\.[cm]?jsx?$/i.test(name);
  try {
    const { code, map } = swc(source, {
      mode: 'transform',
      sourceMap: true,
      filename: name,
      transform: {
        verbatimModuleSyntax: plain, // in TypeScript, an import that is only used as a type is dropped
        nativeClassProperties: true,
        noEmptyExport: true,
        importNotUsedAsValues: 'remove',
      },
    });
    return { code, map };
  } catch (error) {
    if (error instanceof Error) throw error; // swc crashed, and stays unusable: end this process
    if (typeof error?.startLine !== 'number') throw new Problem(sentence(String(error?.message ?? error)), 0, 0);
    throw new Problem(sentence(error.message), error.startLine, error.startColumn + 1);
  }
}

function withoutInternals(name, source) {
  try {
    const js = stripTypeScriptTypes(source, { mode: 'transform', sourceMap: true, sourceUrl: name });
    const at = js.lastIndexOf('\n//# sourceMappingURL=');
    const map = Buffer.from(js.slice(js.indexOf('base64,', at) + 7), 'base64').toString();
    return { code: js.slice(0, at), map };
  } catch (error) {
    const { line, column } = position(error.stack);
    throw new Problem(sentence(error.message), line, column);
  }
}

function parses(attempt) {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Return "cjs" or "mjs", or the syntax error of the more likely of the two. */
function kindOf(code, original) {
  const asScript = parses(() => vm.compileFunction(code, WRAPPER, { filename: 'script' }));
  if (!asScript) return 'cjs';
  const asModule = parses(() => new vm.SourceTextModule(code, { identifier: 'script' }));
  if (!asModule) return 'mjs';
  const error = MODULE_SYNTAX.test(code) ? asModule : asScript;
  const { line, column } = position(error[arrow] ?? error.stack);
  const entry = line ? original.findEntry(line - 1, column - 1) : {};
  if (entry.originalLine === undefined) throw new Problem(sentence(error.message), line, column);
  throw new Problem(sentence(error.message), entry.originalLine + 1, entry.originalColumn + 1);
}

function explained(problem, source) {
  const { line, column } = problem.at;
  const text = source.split(/\r\n|\r|\n/)[line - 1] ?? '';
  const at = text[column - 1];
  if (problem.message === 'Invalid or unexpected token' && at === '@') return 'decorators are not supported by Node';
  if (problem.message.startsWith('Unexpected identifier') && /\baccessor\s+$/.test(text.slice(0, column - 1))) {
    return 'accessor fields are not supported by Node: write a getter and a setter';
  }
  // swc lists every token that could follow; a shorter message is clearer.
  const unexpected = /^Unexpected token `(.*?)`\. Expected ([^]*)$/.exec(problem.message);
  if (unexpected) {
    const [, token, expected] = unexpected;
    const found = token === '<eof>' ? 'Unexpected end of the file' : `Unexpected token \`${token}\``;
    if (expected.startsWith('an identifier, void, yield')) return `${found}: a type is expected`;
    return expected.split(',').length > 4 ? found : `${found}: expected ${expected}`;
  }
  return problem.message.replace(/, got '<eof>'$/, ', but the file ends').replace(/, got 'ident'$/, ', got a name');
}

/** Return the position in the source of a position in the JavaScript; both count from 1. */
function placed(original, { line, column }) {
  const { originalLine, originalColumn } = original.findEntry(line - 1, column);
  return originalLine === undefined ? { line, column: column + 1 } : { line: originalLine + 1, column: originalColumn + 1 };
}

/** Return the position of the text of an import, when the source map has only that of its statement. */
function quoted(source, name, at) {
  const lines = source.split(/\r\n|\r|\n/);
  for (let line = at.line; line < Math.min(lines.length + 1, at.line + 50); line += 1) {
    const from = line === at.line ? at.column - 1 : 0;
    const found = ['"', "'", '`'].map((quote) => lines[line - 1].indexOf(quote + name + quote, from)).filter((column) => column >= 0);
    if (found.length) return { line, column: Math.min(...found) + 1 };
  }
  return at;
}

// Built-in modules of handlers differ from those here by Node's flags, --permission there and --experimental-vm-modules here, and
// by the modules that were loaded before.
const ONLY_HANDLERS_HAVE = { process: ['permission'], constants: ['defaultCipherList'] };
const HANDLERS_DO_NOT_HAVE = { vm: ['Module', 'SourceTextModule', 'SyntheticModule'] };

/** Return the first of these exports that a built-in module does not have: {name, instead}, a similar name or null. */
function missingExport(module, names) {
  const bare = module.replace(/^node:/, '');
  const own = names.length ? Object.keys(process.getBuiltinModule(module)) : [];
  const exports = [...own, ...(ONLY_HANDLERS_HAVE[bare] ?? [])].filter((each) => !HANDLERS_DO_NOT_HAVE[bare]?.includes(each));
  const name = names.find((each) => each !== 'default' && !exports.includes(each));
  return name === undefined ? null : { name, instead: exports.find((each) => each.toLowerCase() === name.toLowerCase()) ?? null };
}

/** Return whether a data: URL is JSON; null for other names, and for URLs that are neither JSON nor JavaScript. */
function isData(name) {
  const [, mime] = /^data:([^,;]*)/.exec(name) ?? [];
  return { 'application/json': true, 'text/javascript': false }[mime] ?? null;
}

/** Return why Node cannot import a module with a `type` (see typeIn), or null. `json`: whether it is JSON, null if unknown. */
function attributeProblem(json, type) {
  if (type === null) return null;
  if (!['', 'json'].includes(type)) return 'has an import attribute that Node does not support';
  if (json === null || type === (json ? 'json' : '')) return null;
  return json ? 'is JSON, which needs an import attribute' : 'is not JSON, but has the import attribute for it';
}

/**
 * Return requirements of a script: `imports` of modules that are not built in or do not have the export; `handler`, the
 * reason why it has no handler; `failure`, the reason why it fails; and `warning`, the reason why it may.
 */
function needs(source, code, kind, original) {
  const found = acorn ? analyse(acorn, code, kind) : null;
  if (!found) {
    const named = /\bhandleEvent\b/.test(code);
    return { imports: [], handler: named ? null : { message: 'there is no top-level function named handleEvent', line: 1, column: 1 }, failure: null, warning: null };
  }
  const { handler } = found;
  const located = (use) => use && { message: use.message, ...placed(original, use.at) };
  const imports = found.imports.map((each) => ({
    ...each,
    missing: isBuiltin(each.name) ? missingExport(each.name, each.names) : null,
    problem: each.how === 'import' && !each.guarded ? attributeProblem(isBuiltin(each.name) ? false : isData(each.name), each.type) : null,
  }));
  return {
    imports: imports.filter(({ name, missing, problem }) => missing || problem || !isBuiltin(name)).map(({ at, ...each }) => ({ ...each, ...quoted(source, each.name, placed(original, at)) })),
    handler: handler && { message: handler.message, ...(handler.at.line === 1 && handler.at.column === 0 ? { line: 1, column: 1 } : placed(original, handler.at)) },
    failure: located(found.failure),
    warning: located(found.warning),
  };
}

function compile({ name }, given) {
  const source = given.replace(/^\ufeff/, '');
  try {
    const { code, map } = (swc ? withInternals : withoutInternals)(name, source);
    const original = new SourceMap(JSON.parse(map));
    const kind = kindOf(code, original);
    return [{ op: 'compiled', kind, map, ...needs(source, code, kind, original) }, code];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return [{ op: 'problem', message: explained(error, source), ...error.at }, ''];
  }
}

/** Whether a source is plain JavaScript. */
function isPlain(source) {
  const script = parses(() => vm.compileFunction(source, WRAPPER, { filename: 'script' }));
  return !script || !parses(() => new vm.SourceTextModule(source, { identifier: 'script' }));
}

const isFile = (file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true;

/**
 * Return for each import whether packages in `directory` have the module, or else a similar name that works as `instead`;
 * the `problem` with its import attributes, or null; and the first of its `names` that is not exported, or null.
 */
function resolvable({ directory, imports }) {
  const parent = path.join(directory, 'package.json');
  const { resolve } = createRequire(parent);
  const url = (name) => import.meta.resolve(name, pathToFileURL(parent).href);
  const ways = {
    require: (name) => parses(() => resolve(name)) === undefined,
    import: (name) => parses(() => {
      const place = url(name);
      if (place.startsWith('file:') && !isFile(fileURLToPath(place))) throw new Error('missing');
    }) === undefined,
  };
  const exports = new Exports(acorn, lexer);
  return imports.map(({ name, how, type, names }) => {
    const module = { there: ways[how](name), instead: null, problem: null, missing: null };
    if (!module.there) {
      module.instead = ['.js', '.mjs', '.cjs', '.json', '/index.js'].map((end) => name + end).find(ways[how]) ?? null;
    } else if (how === 'import') {
      module.problem = attributeProblem(new URL(url(name)).pathname.endsWith('.json'), type);
      module.missing = exports.missing(url(name), names);
    }
    return module;
  });
}

/** Return the statements of compiled code (see statements.mjs), or null if they cannot be determined. */
function statementsOf(code, kind) {
  const program = acorn ? parse(acorn, code, kind) : null;
  return program && statements(program);
}

const operations = {
  plain: (_, source) => [{ op: 'plain', plain: isPlain(source) }, ''],
  statements: ({ kind }, code) => [{ op: 'statements', lists: statementsOf(code, kind) }, ''],
  resolve: (header) => [{ op: 'resolved', modules: resolvable(header) }, ''],
};

const send = openChannel({ input: 0, output: 1 }, (header, source) => {
  const [answer, body] = (operations[header.op] ?? compile)(header, source);
  send(answer, body);
});
