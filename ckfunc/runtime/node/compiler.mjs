// Turns TypeScript into the JavaScript that Node runs, or says where it does not parse.
// node --expose-internals --experimental-vm-modules compiler.mjs; frames on stdin and stdout.
//
// Node's own TypeScript stripper keeps imports that are used as types alone, and tells columns only in prose. The swc
// build inside Node can do better, so it is asked directly where it can be reached; else the public function serves.
import { createRequire, SourceMap, stripTypeScriptTypes } from 'node:module';
import vm from 'node:vm';
import { openChannel } from './channel.mjs';

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
const arrow = internal(() => require('internal/test/binding').internalBinding('util').privateSymbols.arrow_message_private_symbol);

class Problem extends Error {
  constructor(message, line, column) {
    super(message);
    this.at = { line, column };
  }
}

const sentence = (message) => message.replace(/^SyntaxError(?: \[\w+\])?: /, '').split('\n')[0].trim();

/** Line and column from what Node puts above a syntax error: "file:LINE", source lines, and a line of carets. */
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
        verbatimModuleSyntax: plain, // in TypeScript, an import that is used as a type alone is no import
        nativeClassProperties: true,
        noEmptyExport: true,
        importNotUsedAsValues: 'remove',
      },
    });
    return { code, map };
  } catch (error) {
    if (error instanceof Error) throw error; // swc itself broke, and would stay broken: let this process end
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

/** "cjs" or "mjs", or the syntax error of whichever the source is more like. */
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
  const at = source.split(/\r\n|\r|\n/)[line - 1]?.[column - 1];
  if (problem.message === 'Invalid or unexpected token' && at === '@') return 'decorators are not supported by Node';
  return problem.message;
}

function compile({ name, handler }, given) {
  const source = given.replace(/^\ufeff/, '');
  try {
    const { code, map } = (swc ? withInternals : withoutInternals)(name, source);
    const kind = kindOf(code, new SourceMap(JSON.parse(map)));
    if (handler && !/\bhandleEvent\b/.test(code)) {
      throw new Problem('there is no function named handleEvent', 1, 1);
    }
    return [{ op: 'compiled', kind, map }, code];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return [{ op: 'problem', message: explained(error, source), ...error.at }, ''];
  }
}

const send = openChannel({ input: 0, output: 1 }, (header, source) => {
  const [answer, body] = compile(header, source);
  send(answer, body);
});
