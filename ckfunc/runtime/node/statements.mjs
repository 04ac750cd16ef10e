// The statements of a compiled script, whose coverage is reported.
import { isFunction, walk } from './analysis.mjs';

const BODIES = ['body', 'consequent', 'alternate']; // of statements without a block
const DECLARATIONS = new Set(['ClassDeclaration', 'EmptyStatement', 'FunctionDeclaration', 'ImportDeclaration']);
const LISTS = new Set(['BlockStatement', 'Program', 'StaticBlock', 'SwitchCase']);

const isStatement = (node) => /(?:Statement|Declaration)$/.test(node.type);
const isNaming = ({ expression }) => expression?.type === 'CallExpression' && expression.callee.name === '__name'; // esbuild's

/** Whether a statement does something when it is reached; blocks are counted by their statements. */
function runs(node) {
  if (node.type === 'ExportNamedDeclaration' || node.type === 'ExportDefaultDeclaration') return node.declaration ? runs(node.declaration) : false;
  return !DECLARATIONS.has(node.type) && node.type !== 'BlockStatement' && node.type !== 'ExportAllDeclaration' && !node.directive && !isNaming(node);
}

/** The lists of statements, or of single ones without a block, that are directly in a node. */
function* listsIn(node) {
  if (LISTS.has(node.type)) yield node.type === 'SwitchCase' ? node.consequent : node.body;
  else if (node.type === 'ArrowFunctionExpression' && node.expression) yield [node.body];
  else if (isStatement(node)) for (const name of BODIES) if (node[name]?.type && isStatement(node[name])) yield [node[name]];
}

/**
 * Return lists of offsets, the outermost first. In each, a statement runs at most as often as the one before it; the first
 * number is the offset of the statement around the list in the same function, or -1.
 */
export function statements(program) {
  const found = [];
  walk(program, (node, ancestors) => {
    for (const list of listsIn(node)) {
      const offsets = list.filter(runs).map((statement) => statement.start);
      if (!offsets.length) continue;
      const path = [...ancestors, node];
      const inside = path.slice(path.findLastIndex(isFunction) + 1);
      found.push([inside.findLast((outer) => isStatement(outer) && runs(outer))?.start ?? -1, ...offsets]);
    }
  });
  return found;
}
