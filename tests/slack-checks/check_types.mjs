// Compiles every message against Slack's own types: a field that they do not know, or a missing one, fails.
//
// Usage: node check_types.mjs MESSAGES.ndjson. Messages of one shape are compiled once: types see no text.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, 'checked');

// Fields whose text the types know by its very words.
const WORDS = new Set(['type', 'style', 'action_id', 'response_type']);

function shape(value, key) {
  if (Array.isArray(value)) return value.map((item) => shape(item, key));
  if (value && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shape(item, name)]));
  }
  return typeof value === 'string' && !WORDS.has(key) ? value.slice(0, 3) : value;
}

const TYPES = { message: 'KnownBlock[]', modal: 'ModalView', home: 'HomeView' };
const shapes = new Map();
let count = 0;
for (const line of readFileSync(process.argv[2], 'utf8').split('\n').filter(Boolean)) {
  const { kind, surface, body } = JSON.parse(line);
  count += 1;
  const checked = surface === 'message' ? body.blocks : body;
  if (checked === undefined) continue;
  // Lists of any length have the shape of their first entries.
  const text = JSON.stringify(shape(checked));
  shapes.set(`${TYPES[surface]} ${text}`, { kind, type: TYPES[surface], text });
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const file = join(folder, 'messages.ts');
const all = [...shapes.values()];
const source = ["import type { HomeView, KnownBlock, ModalView } from '@slack/types';"];
all.forEach(({ type, text }, index) => source.push(`export const m${index}: ${type} = ${text};`));
writeFileSync(file, source.join('\n'));

const options = {
  strict: true, noEmit: true, skipLibCheck: true, types: [],
  module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
};
const program = ts.createProgram([file], options);
const problems = ts.getPreEmitDiagnostics(program);
for (const problem of problems.slice(0, 20)) {
  const line = problem.file?.getLineAndCharacterOfPosition(problem.start ?? 0).line ?? 0;
  const kind = all[line - 1]?.kind ?? 'the types themselves';
  console.error(`${kind}: ${ts.flattenDiagnosticMessageText(problem.messageText, ' ')}`);
}
console.log(`@slack/types: ${count} messages, ${all.length} shapes, ${problems.length} problems`);
process.exit(problems.length > 0 || all.length === 0 ? 1 : 0);
