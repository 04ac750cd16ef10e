// Static analysis of a compiled script: its imports, and the function handleEvent that the host can call.
// modules.mjs makes the same decisions at run time.

const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const NAME = 'handleEvent';
const MISSING = `there is no top-level function named ${NAME}`;
const NESTED = `${NAME} is not at the top level of the script, where it would be called`;
const UNNAMED = `the default export is not called: name the function ${NAME}`;
const WRONG = {
  generator: `${NAME} is a generator, so that a call would not run its body: declare it as an async function`,
  class: `${NAME} is a class, not a function`,
  other: `${NAME} is not a function`,
};

/** Call `visit(node, ancestors)` for every node, the outermost first. */
export function walk(node, visit, ancestors = []) {
  visit(node, ancestors);
  ancestors.push(node);
  for (const key of Object.keys(node)) {
    const value = node[key];
    if (Array.isArray(value)) {
      for (const child of value) if (typeof child?.type === 'string') walk(child, visit, ancestors);
    } else if (typeof value?.type === 'string') {
      walk(value, visit, ancestors);
    }
  }
  ancestors.pop();
}

/** Yield the identifiers that a pattern declares. */
function* declaredBy(pattern) {
  switch (pattern?.type) {
    case 'Identifier': yield pattern; break;
    case 'ObjectPattern': for (const property of pattern.properties) yield* declaredBy(property.value ?? property.argument); break;
    case 'ArrayPattern': for (const element of pattern.elements) yield* declaredBy(element); break;
    case 'AssignmentPattern': yield* declaredBy(pattern.left); break;
    case 'RestElement': yield* declaredBy(pattern.argument); break;
  }
}

export const isFunction = (node) => FUNCTIONS.has(node.type) || node.type === 'StaticBlock';
const isBlock = (node) => node.type === 'Program' || node.type.endsWith('Statement') || isFunction(node);
const nearest = (ancestors, wanted) => ancestors.findLast(wanted) ?? ancestors[0];

/** Text of a literal, or of a template without expressions; undefined for anything else. */
function textOf(node) {
  if (node?.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node?.type === 'TemplateLiteral' && node.expressions.length === 0) return node.quasis[0].value.cooked ?? undefined;
  return undefined;
}

const keyOf = (node) => (node.computed ? textOf(node.property ?? node.key) : (node.property ?? node.key)?.name ?? textOf(node.key));
const isNamed = (node, ...names) => node?.type === 'Identifier' && names.includes(node.name);
const isExports = (node) => isNamed(node, 'exports') || (node?.type === 'MemberExpression' && isNamed(node.object, 'module') && keyOf(node) === 'exports');

/** Visit every declaration: `declare(name identifier, scope, value)`; the value is a node, or undefined if unknown. */
function declarations(program, sloppy, declare) {
  walk(program, (node, ancestors) => {
    switch (node.type) {
      case 'VariableDeclaration': {
        const scope = nearest(ancestors, node.kind === 'var' ? (outer) => outer.type === 'Program' || isFunction(outer) : isBlock);
        for (const declarator of node.declarations) {
          const simple = declarator.id.type === 'Identifier';
          for (const id of declaredBy(declarator.id)) declare(id, scope, simple ? (declarator.init ?? null) : undefined);
        }
        break;
      }
      case 'FunctionDeclaration':
      case 'ClassDeclaration': {
        const plain = node.type === 'FunctionDeclaration' && !node.async && !node.generator;
        const hoisted = plain && sloppy; // out of its block, like `var`
        const scope = nearest(ancestors, hoisted ? (outer) => outer.type === 'Program' || isFunction(outer) : isBlock);
        if (node.id) declare(node.id, scope, node);
        break;
      }
      case 'FunctionExpression':
      case 'ClassExpression':
        if (node.id) declare(node.id, node, node);
        break;
      case 'CatchClause':
        for (const id of declaredBy(node.param)) declare(id, node, undefined);
        break;
      case 'ImportDeclaration':
        for (const specifier of node.specifiers) declare(specifier.local, program, specifier.type === 'ImportNamespaceSpecifier' ? specifier : undefined);
        break;
    }
    if (isFunction(node)) for (const param of node.params ?? []) for (const id of declaredBy(param)) declare(id, node, undefined);
  });
}

// -- imports -----------------------------------------------------------------------------------------------------------

/** Whether the error of this call for a missing module is caught. */
function isGuarded(node, ancestors) {
  let inner = node;
  for (let at = ancestors.length - 1; at >= 0; at -= 1) {
    const outer = ancestors[at];
    if (outer.type === 'TryStatement' && outer.handler && inner === outer.block) return true;
    const call = ancestors[at - 1];
    if (outer.type === 'MemberExpression' && inner === outer.object && call?.type === 'CallExpression' && call.callee === outer) {
      const name = keyOf(outer);
      if (name === 'catch' || (name === 'then' && call.arguments.length > 1)) return true;
    }
    if (outer.type === 'CallExpression' && outer.callee.type === 'MemberExpression' && keyOf(outer.callee) === 'allSettled') return true;
    if (isFunction(outer)) return false;
    inner = outer;
  }
  return false;
}

/** Whether a value is `createRequire(…)`, which resolves modules like the handler. */
const makesRequire = (value) =>
  value?.type === 'CallExpression' && (isNamed(value.callee, 'createRequire') || (value.callee.type === 'MemberExpression' && keyOf(value.callee) === 'createRequire'));

const PARTS = {
  ArrayExpression: ['elements'],
  AssignmentExpression: ['right'],
  AwaitExpression: ['argument'],
  BinaryExpression: ['left', 'right'],
  ConditionalExpression: ['consequent', 'alternate'],
  LogicalExpression: ['left', 'right'],
  MemberExpression: ['object'],
  ObjectExpression: ['properties'],
  Property: ['value'],
  SequenceExpression: ['expressions'],
};

/**
 * Return the relative paths that a computed name may have. Bundling has replaced all that it can resolve, so these are
 * missing. Conditions and arguments of calls are no names, as in `name.replace("./", "")`.
 */
function relativePathsIn(node) {
  if (/^\.\.?\//.test(textOf(node))) return [node];
  if (node?.type === 'BinaryExpression' && node.operator !== '+') return [];
  return (PARTS[node?.type] ?? []).flatMap((key) => node[key]).flatMap(relativePathsIn);
}

function importsOf(program, sloppy) {
  const shadowed = new Set(); // scopes that declare a different `require`
  const resolvers = new Set(['require', '__require']); // names of functions that resolve like `require`; bundles have __require
  const others = new Set(); // names with another meaning somewhere
  const values = new Map(); // name -> its only value; null if it may have another one
  declarations(program, sloppy, (id, scope, value) => {
    values.set(id.name, values.has(id.name) ? null : value ?? null);
    if (makesRequire(value)) resolvers.add(id.name);
    else if (id.name === 'require') shadowed.add(scope);
    else if (id.name !== '__require') others.add(id.name);
  });
  walk(program, ({ type, left }) => {
    const assigns = type === 'AssignmentExpression' || type === 'ForInStatement' || type === 'ForOfStatement';
    if (assigns) walk(left, (node) => { if (node.type === 'Identifier') values.set(node.name, null); });
  });
  const imports = [];
  const add = (source, how, { guarded = false, names = [], type = null } = {}) => {
    const value = source?.type === 'Identifier' ? values.get(source.name) : source;
    const sources = textOf(source) === undefined ? relativePathsIn(value) : [source];
    for (const each of sources) imports.push({ name: textOf(each), how, guarded, names, type, at: each.loc.start });
  };
  const requires = (node, ancestors) => {
    if (node.type === 'Identifier') {
      if (!resolvers.has(node.name) || others.has(node.name)) return false;
      return node.name !== 'require' || !(shadowed.has(program) || ancestors.some((scope) => shadowed.has(scope)));
    }
    if (node.type === 'MemberExpression') return isNamed(node.object, 'module') && keyOf(node) === 'require' && !others.has('module');
    return makesRequire(node);
  };
  walk(program, (node, ancestors) => {
    switch (node.type) {
      case 'ImportDeclaration':
      case 'ExportAllDeclaration':
      case 'ExportNamedDeclaration':
        if (node.source) add(node.source, 'import', { names: importedBy(node), type: typeIn(node.attributes) });
        break;
      case 'ImportExpression':
        add(node.source, 'import', { guarded: isGuarded(node, ancestors), type: typeOfCall(node.options) });
        break;
      case 'CallExpression': {
        const { callee } = node;
        const resolves = callee.type === 'MemberExpression' && keyOf(callee) === 'resolve';
        if (resolves && callee.object.type === 'MetaProperty') add(node.arguments[0], 'import', { guarded: isGuarded(node, ancestors) });
        else if (requires(resolves ? callee.object : callee, ancestors)) add(node.arguments[0], 'require', { guarded: isGuarded(node, ancestors) });
        break;
      }
    }
  });
  return imports;
}

/**
 * Return the type that an import's attributes ask for: 'json', '' without attributes, or the name of an attribute that
 * Node does not support. Source: https://nodejs.org/docs/latest-v24.x/api/esm.html#import-attributes
 */
function typeIn(attributes = []) {
  const pairs = attributes.map(({ key, value }) => [key.name ?? key.value, textOf(value)]);
  return pairs.find(([name, value]) => name !== 'type' || value !== 'json')?.[0] ?? (pairs.length ? 'json' : '');
}

/** Return the same for the options of `import()`, or null if they are unknown. */
function typeOfCall(options) {
  if (!options) return '';
  const isPlain = (node) => node.type === 'ObjectExpression' && node.properties.every((each) => each.type === 'Property' && !each.computed);
  if (!isPlain(options)) return null;
  const attributes = options.properties.find((property) => keyOf(property) === 'with')?.value;
  if (!attributes) return '';
  return isPlain(attributes) && attributes.properties.every(({ value }) => textOf(value) !== undefined) ? typeIn(attributes.properties) : null;
}

/** Return the names of a module's exports that a statement imports or exports again. */
function importedBy({ specifiers = [] }) {
  const names = specifiers.map(({ type, imported, local }) => {
    if (type === 'ImportDefaultSpecifier') return { name: 'default' };
    return type === 'ImportSpecifier' ? imported : type === 'ExportSpecifier' ? local : {};
  });
  return names.map(({ name, value }) => name ?? value).filter((name) => name !== undefined);
}

// -- variables of CommonJS ---------------------------------------------------------------------------------------------

const COMMON_JS = new Map([
  ['__dirname', 'use import.meta.dirname'],
  ['__filename', 'use import.meta.filename'],
  ['exports', 'use export statements'],
  ['module', 'use export statements'],
]);
const NAMED_BY = { MemberExpression: 'property', Property: 'key', MethodDefinition: 'key', PropertyDefinition: 'key' };
const NEVER_READ = /^(?:Import|Export)\w*Specifier$|^ExportAllDeclaration$|^(?:Labeled|Break|Continue)Statement$|^MetaProperty$/;

function isRead(node, parent, statement) {
  if (NEVER_READ.test(parent.type)) return parent.type === 'ExportSpecifier' && parent.local === node && !statement.source;
  return parent[NAMED_BY[parent.type]] !== node || parent.computed || parent.shorthand === true;
}

const ALWAYS = { IfStatement: 'test', ConditionalExpression: 'test', LogicalExpression: 'left', SwitchStatement: 'discriminant' };
const SELDOM = /^(?:SwitchCase|CatchClause|(?:For|ForIn|ForOf|While)Statement)$/;

/** Whether the code of a node may not run when the script is loaded: in a function, a branch, a loop or a field of instances. */
function isConditional(node, ancestors) {
  return [...ancestors, node].some((inner, index, path) => {
    const outer = path[index - 1];
    if (!outer) return false;
    if (outer.type === 'PropertyDefinition') return !outer.static && outer.value === inner;
    return isFunction(outer) || SELDOM.test(outer.type) || (outer.type in ALWAYS && outer[ALWAYS[outer.type]] !== inner);
  });
}

/**
 * Return {failure, warning}, the first uses of CommonJS variables that an ES module does not have, as {message, at} or
 * null: the one where the script fails when it is loaded, and the one where it fails if the code runs.
 */
function commonJsUses(program) {
  const declared = new Map([...COMMON_JS.keys()].map((name) => [name, new Set()])); // name -> scopes that declare it
  declarations(program, false, (id, scope) => declared.get(id.name)?.add(scope));
  const tested = new Set(); // names that the script looks for: it works without them
  const uses = [];
  walk(program, (node, ancestors) => {
    const parent = ancestors.at(-1);
    if (node.type === 'MemberExpression' && isNamed(node.object, 'globalThis', 'global')) tested.add(keyOf(node));
    if (node.type !== 'Identifier' || !declared.has(node.name) || !isRead(node, parent, ancestors.at(-2))) return;
    if (ancestors.some((scope) => declared.get(node.name).has(scope))) return;
    if (parent.type === 'UnaryExpression' && parent.operator === 'typeof') tested.add(node.name);
    else if (!isGuarded(node, ancestors)) uses.push({ node, nested: isConditional(node, ancestors) });
  });
  const first = (wanted) => {
    const node = uses.find((use) => use.nested === wanted && !tested.has(use.node.name))?.node;
    if (!node) return null;
    const message = `${node.name} does not exist in ES modules, which are scripts with import, export or top-level await: ${COMMON_JS.get(node.name)}`;
    return { message, at: node.loc.start };
  };
  return { failure: first(false), warning: first(true) };
}

/** Return {message, at} for the first URL of a file next to the script, which exists only where the script was written; or null. */
function fileUse(program) {
  let use = null;
  walk(program, (node, ancestors) => {
    const [name, base] = node.type === 'NewExpression' && isNamed(node.callee, 'URL') ? node.arguments : [];
    const isOwn = base?.type === 'MemberExpression' && base.object.type === 'MetaProperty' && keyOf(base) === 'url';
    if (use || !isOwn || !/^\.\.?\/.*[^./]/.test(textOf(name)) || isGuarded(node, ancestors)) return;
    use = { message: `${textOf(name)} does not exist where the script runs: import the file, or put its contents into the script`, at: node.loc.start };
  });
  return use;
}

// -- the handler -------------------------------------------------------------------------------------------------------

/** Collects candidates for the handler, and other uses of its name. */
class Search {
  constructor(program, kind, sloppy) {
    this.program = program;
    this.commonJs = kind === 'cjs';
    this.bindings = new Map(); // top-level name -> its possible values; undefined: unknown
    this.elsewhere = null; // a function that is probably the handler, but cannot be called: {message, node}
    this.mentioned = false; // whether the name is used at all, outside of comments
    this.offers = []; // [value, place]
    declarations(program, sloppy, (id, scope, value) => this.declared(id, scope, value));
    walk(program, (node, ancestors) => this.visit(node, ancestors));
    for (const value of this.bindings.get(NAME) ?? []) this.offers.push([value, this.place]);
    // An assignment to an undeclared name creates a global variable, unless the script is strict.
    if (!this.bindings.has(NAME) && sloppy) for (const value of this.assigned ?? []) this.offers.push([value, value]);
  }

  declared(id, scope, value) {
    if (scope === this.program) {
      this.bindings.set(id.name, [...(this.bindings.get(id.name) ?? []), value]);
      if (id.name === NAME) this.place = id;
    } else if (id.name === NAME && value && isFunction(value)) {
      this.elsewhere ??= { message: NESTED, node: id };
    }
  }

  visit(node, ancestors) {
    if (isNamed(node, NAME) || textOf(node) === NAME) this.mentioned = true;
    switch (node.type) {
      case 'MethodDefinition':
      case 'Property':
      case 'PropertyDefinition':
        if (keyOf(node) === NAME && node.value && isFunction(node.value)) this.elsewhere ??= { message: NESTED, node: node.key };
        break;
      case 'AssignmentExpression':
        if (isNamed(node.left, NAME)) {
          (this.assigned ??= []).push(node.right);
          this.bindings.get(NAME)?.push(node.right);
        } else if (node.left.type === 'Identifier') {
          this.bindings.get(node.left.name)?.push(node.right);
        }
        if (node.left.type === 'MemberExpression') this.member(node, ancestors);
        if (this.commonJs && isExports(node.left)) this.object(node.right);
        break;
      case 'CallExpression':
        if (this.commonJs && node.arguments.some(isExports)) this.unsure ??= node;
        break;
      case 'ExportNamedDeclaration':
        for (const specifier of node.specifiers) {
          const name = specifier.exported.name ?? specifier.exported.value;
          if (name === NAME) this.offers.push([node.source ? undefined : specifier.local, specifier]);
          if (name === 'default') node.source ? (this.unsure ??= specifier) : this.object(specifier.local);
        }
        break;
      case 'ExportAllDeclaration':
        if (node.exported && (node.exported.name ?? node.exported.value) === NAME) this.offers.push([{ type: 'ImportNamespaceSpecifier' }, node]);
        break;
      case 'ExportDefaultDeclaration':
        if (!isFunction(node.declaration) && node.declaration.type !== 'ClassDeclaration') this.object(node.declaration);
        else if (!node.declaration.id) this.elsewhere ??= { message: UNNAMED, node };
        break;
    }
  }

  /** Handle `exports.handleEvent = …` and similar assignments. */
  member({ left, right }, ancestors) {
    const top = left.object.type === 'ThisExpression' && !ancestors.some((outer) => isFunction(outer) && outer.type !== 'ArrowFunctionExpression');
    const ours = this.commonJs && (isExports(left.object) || top);
    if (keyOf(left) === NAME && (ours || isNamed(left.object, 'globalThis', 'global'))) this.offers.push([right, left]);
    if (ours && keyOf(left) === 'default') this.object(right);
  }

  /** Handle an exported object, whose property of that name is a candidate. */
  object(node) {
    if (node.type === 'AssignmentExpression') return this.object(node.right);
    if (node.type === 'Identifier') {
      for (const value of this.bindings.get(node.name) ?? [undefined]) {
        if (value?.type === 'ObjectExpression') this.object(value);
        else if (value !== null && !FUNCTIONS.has(value?.type)) this.unsure ??= node;
      }
      return undefined;
    }
    if (node.type !== 'ObjectExpression') {
      if (!['Literal', 'TemplateLiteral', 'ArrayExpression'].includes(node.type) && !FUNCTIONS.has(node.type)) this.unsure ??= node;
      return undefined;
    }
    for (const property of node.properties) {
      if (property.type === 'SpreadElement') this.unsure ??= property;
      else if (keyOf(property) === NAME) this.offers.push([property.kind === 'get' ? undefined : property.value, property.key]);
      else if (keyOf(property) === 'default') this.object(property.value);
    }
    return undefined;
  }

  /** Return "function", "unknown" (possibly a function), or a key of WRONG. */
  kind(value, seen = new Set()) {
    if (value === undefined) return 'unknown';
    if (value === null) return 'other'; // declared without a value
    switch (value.type) {
      case 'FunctionDeclaration':
      case 'FunctionExpression': return value.generator ? 'generator' : 'function';
      case 'ArrowFunctionExpression': return 'function';
      case 'ClassDeclaration':
      case 'ClassExpression': return 'class';
      case 'Literal':
      case 'TemplateLiteral':
      case 'ObjectExpression':
      case 'ArrayExpression':
      case 'BinaryExpression':
      case 'UnaryExpression':
      case 'UpdateExpression':
      case 'ImportNamespaceSpecifier': return 'other';
      case 'AssignmentExpression': return value.operator === '=' ? this.kind(value.right, seen) : 'unknown';
      case 'Identifier': {
        if (value.name === 'undefined') return 'other';
        const values = this.bindings.get(value.name);
        if (!values || seen.has(value.name)) return 'unknown';
        return best(values.map((candidate) => this.kind(candidate, new Set([...seen, value.name]))));
      }
      case 'CallExpression': { // an enum is compiled to `function (E) { …; return E }(E || {})`
        const { callee, arguments: [given] } = value;
        const [parameter] = isFunction(callee) ? callee.params : [];
        const last = callee.body?.body?.at?.(-1);
        if (parameter?.type !== 'Identifier' || last?.type !== 'ReturnStatement' || last.argument?.name !== parameter.name) return 'unknown';
        return this.kind(given?.type === 'LogicalExpression' ? given.right : given, seen);
      }
      default: return 'unknown';
    }
  }

  /** Return why the host cannot find a handler: {message, at}; null if it can, or possibly can. */
  verdict() {
    const kinds = this.offers.map(([value, place]) => [this.kind(value), place]);
    if (kinds.some(([kind]) => kind === 'function' || kind === 'unknown')) return null;
    if (this.unsure && this.mentioned) return null;
    if (kinds.length) return { message: WRONG[best(kinds.map(([kind]) => kind))], at: (kinds.at(-1)[1].loc ?? this.program.loc).start };
    if (this.elsewhere) return { message: this.elsewhere.message, at: this.elsewhere.node.loc.start };
    return { message: MISSING, at: { line: 1, column: 0 } };
  }
}

const best = (kinds) => ['function', 'unknown', 'generator', 'class', 'other'].find((kind) => kinds.includes(kind)) ?? 'other';

/** Return the syntax tree of JavaScript that V8 has parsed, or null if acorn does not support its syntax, or is nested too deeply. */
export function parse(acorn, code, kind) {
  try {
    return acorn.parse(code, {
      ecmaVersion: 'latest',
      sourceType: kind === 'mjs' ? 'module' : 'script',
      locations: true,
      allowReturnOutsideFunction: kind === 'cjs',
      allowHashBang: true,
    });
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return null;
    throw error;
  }
}

/**
 * Return {imports, handler, failure, warning} of JavaScript, or null if acorn does not support its syntax. Positions are
 * acorn's: lines from 1, columns from 0. `handler` is null, or the reason why there is no handler; for the others see
 * commonJsUses.
 */
export function analyse(acorn, code, kind) {
  const program = parse(acorn, code, kind);
  if (!program) return null;
  const sloppy = kind === 'cjs' && !program.body.some((statement) => statement.directive === 'use strict');
  try {
    const uses = kind === 'mjs' ? commonJsUses(program) : { failure: null, warning: null };
    uses.warning ??= fileUse(program);
    return { imports: importsOf(program, sloppy), handler: new Search(program, kind, sloppy).verdict(), ...uses };
  } catch (error) {
    if (error instanceof RangeError) return null; // nested too deeply
    throw error;
  }
}
