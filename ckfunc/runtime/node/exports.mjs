// The names that a module of a package exports, without running it.
import { readFileSync } from 'node:fs';
import { createRequire, findPackageJSON, isBuiltin } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';

const MAYBE_MODULE = /\b(?:import|export)\b/;

/**
 * Reads the exports of modules, each file once. `acorn` parses ES modules, and `lexer` finds the names that Node takes from
 * CommonJS modules; without one of them, the exports of these modules are unknown.
 */
export class Exports {
  #acorn;
  #lexer;
  #files = new Map(); // file -> its names, or null if they are unknown

  constructor(acorn, lexer) {
    this.#acorn = acorn;
    this.#lexer = lexer;
  }

  /** Return {name, commonjs} for the first name that the module at `url` does not export; null if none or unknown. */
  missing(url, names) {
    if (!names.length || !url.startsWith('file:')) return null;
    const file = fileURLToPath(url);
    const exported = this.#of(file);
    const name = exported && names.find((each) => !exported.has(each));
    return name ? { name, commonjs: !this.#isModule(file) } : null;
  }

  #of(file) {
    if (!this.#files.has(file)) {
      this.#files.set(file, null); // as long as it is read: files may export each other's names
      let names = null;
      try {
        names = this.#isModule(file) ? this.#ofModule(file) : this.#ofCommonJs(file);
      } catch {
        // unknown
      }
      this.#files.set(file, names);
    }
    return this.#files.get(file);
  }

  /** Whether Node loads a file as an ES module. */
  #isModule(file) {
    if (!file.endsWith('.js')) return file.endsWith('.mjs');
    const place = findPackageJSON(pathToFileURL(file));
    const { type } = place ? JSON.parse(readFileSync(place, 'utf8')) : {};
    if (type === 'module' || type === 'commonjs') return type === 'module';
    const source = readFileSync(file, 'utf8');
    return MAYBE_MODULE.test(source) && !this.#isScript(source);
  }

  #isScript(source) {
    try {
      this.#acorn.parse(source, { ecmaVersion: 'latest', sourceType: 'script', allowReturnOutsideFunction: true, allowHashBang: true });
      return true;
    } catch {
      return false;
    }
  }

  #ofModule(file) {
    const program = this.#acorn.parse(readFileSync(file, 'utf8'), { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
    const names = new Set();
    for (const node of program.body) {
      if (node.type === 'ExportDefaultDeclaration') names.add('default');
      else if (node.type === 'ExportNamedDeclaration') for (const name of declaredBy(node)) names.add(name);
      else if (node.type === 'ExportAllDeclaration' && node.exported) names.add(node.exported.name ?? node.exported.value);
      else if (node.type === 'ExportAllDeclaration') {
        const from = import.meta.resolve(node.source.value, pathToFileURL(file).href);
        const others = from.startsWith('file:') ? this.#of(fileURLToPath(from)) : null;
        if (others === null) return null;
        for (const name of others) if (name !== 'default') names.add(name);
      }
    }
    return names;
  }

  #ofCommonJs(file) {
    if (!/\.c?js$/.test(file)) return null;
    // Like Node, without a byte order mark, which would hide the first statement from the lexer.
    const [exports, reexports] = this.#lexer(readFileSync(file, 'utf8').replace(/^\ufeff/, ''));
    const names = new Set(['default', 'module.exports', ...exports]);
    const { resolve } = createRequire(file);
    for (const from of reexports) {
      const others = isBuiltin(from) ? null : this.#of(resolve(from));
      if (others === null) return null;
      for (const name of others) names.add(name);
    }
    return names;
  }
}

function* declaredBy({ declaration, specifiers }) {
  for (const { exported } of specifiers) yield exported.name ?? exported.value;
  if (declaration?.id) yield declaration.id.name;
  for (const { id } of declaration?.declarations ?? []) {
    if (id.type !== 'Identifier') throw new Error('a pattern');
    yield id.name;
  }
}
