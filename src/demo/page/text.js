// Slack's text: mrkdwn, plain text with emoji, rich text, and the markdown block.
// Links are shown and never followed: what an alert links to is nobody's to click here.

import { el, fragment } from './dom.js';
import { emoji } from './emoji.js';

const unescape = (text) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

const mention = (label) => el('span', { class: 'mention' }, label);

export function link(label, url) {
  return el('span', { class: 'link', title: url, role: 'link', 'aria-disabled': 'true' }, label);
}

/** `:rotating_light:` becomes its sign where it is known. */
export function withEmoji(text) {
  return text.replace(/:([a-z0-9_+-]+):/g, (whole, name) => emoji(name) ?? whole);
}

export function plain(object) {
  const text = typeof object === 'string' ? object : object?.text ?? '';
  return lines(object?.emoji === false ? text : withEmoji(text));
}

function lines(text) {
  const out = fragment();
  text.split('\n').forEach((line, index) => {
    if (index > 0) out.append(el('br'));
    out.append(line);
  });
  return out;
}

/** A text object of either kind. */
export function textObject(object, names) {
  if (!object) return fragment();
  return object.type === 'mrkdwn' ? mrkdwn(object.text, names) : plain(object);
}

/** mrkdwn as nodes: code first, then quotes, then what stands in a line. */
export function mrkdwn(text, names) {
  const out = fragment();
  const parts = String(text ?? '').split('```');
  parts.forEach((part, index) => {
    // An opening fence without its end is text.
    if (index % 2 === 1 && index < parts.length - 1) {
      out.append(el('pre', {}, unescape(part.replace(/^\n|\n$/g, ''))));
    } else {
      const body = index % 2 === 1 ? `\`\`\`${part}` : part;
      out.append(quoted(index > 0 ? body.replace(/^\n/, '') : body, names));
    }
  });
  return out;
}

function quoted(text, names) {
  const out = fragment();
  let quote = null;
  let fresh = true;
  for (const line of text.split('\n')) {
    const inner = /^(?:&gt;|>) ?(.*)$/.exec(line);
    if (inner) {
      if (quote) quote.append(el('br'));
      else out.append(quote = el('blockquote'));
      quote.append(inline(inner[1], names));
      fresh = true;
    } else {
      if (!fresh) out.append(el('br'));
      quote = null;
      fresh = false;
      const item = /^(\s*)[•▪◦] +(.*)$/.exec(line);
      if (item) {
        out.append(el('span', { class: 'bullet' }, inline(item[2], names)));
        fresh = true;
      } else {
        out.append(inline(line, names));
      }
    }
  }
  return out;
}

const TOKEN = /(`[^`\n]+`)|<([^<>\n]+)>|(:[a-z0-9_+-]+:)/g;

/** Code, links, mentions and emoji of one line; the rest is styled text. */
function inline(line, names) {
  const pieces = [];
  let from = 0;
  for (const match of line.matchAll(TOKEN)) {
    const [whole, code, angle, short] = match;
    let node = null;
    if (code) node = el('code', {}, unescape(code.slice(1, -1)));
    else if (angle) node = special(angle, names);
    else if (short) {
      const sign = emoji(short.slice(1, -1));
      node = sign ? document.createTextNode(sign) : null;
    }
    if (!node) continue;
    pieces.push(line.slice(from, match.index), node);
    from = match.index + whole.length;
  }
  pieces.push(line.slice(from));
  return styled(pieces);
}

/** What stands in angle brackets. */
function special(inside, names) {
  const bar = inside.indexOf('|');
  const target = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? '' : unescape(inside.slice(bar + 1));
  const rest = target.slice(1);
  if (target.startsWith('@')) return mention(`@${names.user(rest)}`);
  if (target.startsWith('#')) return mention(`#${names.channel(rest) ?? label}`);
  if (target.startsWith('!subteam^')) return mention(`@${names.group(target.slice(9)) ?? label}`);
  if (target.startsWith('!date^')) return date(target, label);
  if (target.startsWith('!')) return mention(`@${label || rest}`);
  if (/^(https?|mailto|slack|tel):/.test(target)) {
    const url = unescape(target);
    return link(label || url.replace(/^mailto:/, ''), url);
  }
  return null;
}

function date(target, fallback) {
  const [, seconds, format = '{date} {time}'] = target.split('^');
  const at = new Date(Number(seconds) * 1000);
  if (Number.isNaN(at.getTime())) return document.createTextNode(fallback);
  const iso = at.toISOString();
  const text = format
    .replace(/\{date[a-z_]*\}/g, iso.slice(0, 10))
    .replace(/\{time_secs\}/g, `${iso.slice(11, 19)} UTC`)
    .replace(/\{time\}/g, `${iso.slice(11, 16)} UTC`)
    .replace(/\{ago\}/g, iso.slice(0, 16).replace('T', ' '));
  return el('time', { title: fallback, datetime: iso }, text);
}

const MARKS = { '*': 'b', _: 'i', '~': 's' };

/** Bold, italic and struck text; a mark counts only at a word's edge, and may go around nodes. */
function styled(pieces) {
  const root = { tag: null, nodes: [] };
  const stack = [root];
  const top = () => stack[stack.length - 1];
  const flat = pieces.filter((piece) => piece !== '');
  const closes = (mark, pieceIndex, offset) => {
    for (let index = pieceIndex; index < flat.length; index += 1) {
      const piece = flat[index];
      if (typeof piece !== 'string') continue;
      for (let at = index === pieceIndex ? offset : 0; at < piece.length; at += 1) {
        const before = at > 0 ? piece[at - 1] : index > 0 ? 'x' : ' ';
        const after = at + 1 < piece.length ? piece[at + 1] : index + 1 < flat.length ? 'x' : ' ';
        const edge = at + 1 < piece.length ? !/[\p{L}\p{N}]/u.test(after) : true;
        if (piece[at] === mark && !/\s/.test(before) && edge && !(index === pieceIndex && at === offset)) return true;
      }
    }
    return false;
  };
  flat.forEach((piece, pieceIndex) => {
    if (typeof piece !== 'string') {
      top().nodes.push(piece);
      return;
    }
    let text = '';
    const flush = () => {
      if (text) top().nodes.push(unescape(text));
      text = '';
    };
    for (let at = 0; at < piece.length; at += 1) {
      const char = piece[at];
      const tag = MARKS[char];
      if (!tag) {
        text += char;
        continue;
      }
      const before = at > 0 ? piece[at - 1] : pieceIndex > 0 ? '' : ' ';
      const after = at + 1 < piece.length ? piece[at + 1] : pieceIndex + 1 < flat.length ? 'x' : ' ';
      const open = stack.findIndex((level) => level.tag === tag);
      if (open > 0 && !/\s/.test(before || 'x') && !/[\p{L}\p{N}]/u.test(at + 1 < piece.length ? after : ' ')) {
        flush();
        while (stack.length > open) {
          const level = stack.pop();
          top().nodes.push(el(level.tag, {}, ...level.nodes));
        }
      } else if (open < 0 && !/[\p{L}\p{N}]/u.test(before) && !/\s/.test(after) && after !== char
        && closes(char, pieceIndex, at + 1)) {
        flush();
        stack.push({ tag, nodes: [] });
      } else {
        text += char;
      }
    }
    flush();
  });
  while (stack.length > 1) {
    const level = stack.pop();
    const mark = Object.keys(MARKS).find((key) => MARKS[key] === level.tag);
    top().nodes.push(mark, ...level.nodes);
  }
  return fragment(...root.nodes);
}

/** A rich text block. */
export function richText(block, names) {
  return fragment(...(block.elements ?? []).map((part) => richPart(part, names)));
}

function richPart(part, names) {
  const inside = () => (part.elements ?? []).map((piece) => richPiece(piece, names));
  switch (part.type) {
    case 'rich_text_section':
      return el('div', {}, ...inside());
    case 'rich_text_preformatted':
      return el('pre', {}, ...inside());
    case 'rich_text_quote':
      return el('blockquote', {}, ...inside());
    case 'rich_text_list': {
      const items = (part.elements ?? []).map((item) => el('li', {}, richPart(item, names)));
      const list = el(part.style === 'ordered' ? 'ol' : 'ul', { class: `indent-${Math.min(part.indent ?? 0, 6)}` });
      if (part.offset) list.setAttribute('start', String(part.offset + 1));
      list.append(...items);
      return list;
    }
    default:
      return fragment();
  }
}

function richPiece(piece, names) {
  let node;
  switch (piece.type) {
    case 'text': node = lines(piece.text ?? ''); break;
    case 'link': node = link(piece.text || piece.url, piece.url); break;
    case 'user': node = mention(`@${names.user(piece.user_id)}`); break;
    case 'channel': node = mention(`#${names.channel(piece.channel_id) ?? piece.channel_id}`); break;
    case 'usergroup': node = mention(`@${names.group(piece.usergroup_id) ?? piece.usergroup_id}`); break;
    case 'broadcast': node = mention(`@${piece.range}`); break;
    case 'emoji': node = document.createTextNode(emoji(piece.name) ?? `:${piece.name}:`); break;
    case 'date': node = date(`!date^${piece.timestamp}^${piece.format ?? '{date} {time}'}`, piece.fallback ?? ''); break;
    case 'color': node = el('code', {}, piece.value ?? ''); break;
    default: node = fragment();
  }
  for (const [style, tag] of [['code', 'code'], ['bold', 'b'], ['italic', 'i'], ['strike', 's']]) {
    if (piece.style?.[style]) node = el(tag, {}, node);
  }
  return node;
}

/** The markdown block: headings, lists, quotes, code, and bold, italic, code and links in a line. */
export function markdown(text) {
  const out = fragment();
  let list = null;
  let paragraph = null;
  const source = String(text ?? '').split('\n');
  for (let index = 0; index < source.length; index += 1) {
    const line = source[index];
    const heading = /^(#{1,6}) +(.*)$/.exec(line);
    const item = /^\s*(?:[-*+]|(\d+)[.)]) +(.*)$/.exec(line);
    if (line.startsWith('```')) {
      const body = [];
      for (index += 1; index < source.length && !source[index].startsWith('```'); index += 1) body.push(source[index]);
      out.append(el('pre', {}, body.join('\n')));
      [list, paragraph] = [null, null];
    } else if (heading) {
      out.append(el('p', { class: `heading-${Math.min(heading[1].length, 3)}` }, markdownLine(heading[2])));
      [list, paragraph] = [null, null];
    } else if (item) {
      const tag = item[1] ? 'OL' : 'UL';
      if (list?.tagName !== tag) out.append(list = el(tag));
      list.append(el('li', {}, markdownLine(item[2])));
      paragraph = null;
    } else if (line.startsWith('>')) {
      out.append(el('blockquote', {}, markdownLine(line.replace(/^> ?/, ''))));
      [list, paragraph] = [null, null];
    } else if (line.trim() === '') {
      [list, paragraph] = [null, null];
    } else {
      if (paragraph) paragraph.append(el('br'));
      else out.append(paragraph = el('p'));
      paragraph.append(markdownLine(line));
      list = null;
    }
  }
  return out;
}

function markdownLine(line) {
  const out = fragment();
  let from = 0;
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|~~([^~]+)~~|\[([^\]]+)\]\(([^)\s]+)\)/g;
  for (const [whole, code, bold, italic, struck, label, url] of line.matchAll(pattern)) {
    const at = line.indexOf(whole, from);
    out.append(withEmoji(line.slice(from, at)));
    if (code) out.append(el('code', {}, code));
    else if (bold) out.append(el('b', {}, bold));
    else if (italic) out.append(el('i', {}, italic));
    else if (struck) out.append(el('s', {}, struck));
    else out.append(link(label, url));
    from = at + whole.length;
  }
  out.append(withEmoji(line.slice(from)));
  return out;
}
