// Blocks and attachments, each by its type. Nothing here knows who posted them, or why.

import { byId, clock, el, fragment } from './dom.js';
import { element } from './elements.js';
import { link, markdown, mrkdwn, plain, richText, textObject, withEmoji } from './text.js';

export function blocks(list, context) {
  return fragment(...(list ?? []).map((block) => one(block, context)));
}

function one(block, context) {
  const make = MAKERS[block?.type] ?? unknown;
  const node = make(block, context);
  if (node instanceof Element) {
    node.classList.add('block');
    if (block.block_id) node.dataset.block = block.block_id;
  }
  return node;
}

/** An image from the workspace's own files; one from elsewhere is named, not loaded. */
export function image(object, small = false) {
  const id = object.slack_file?.id;
  if (!id) {
    let host = 'elsewhere';
    try { host = new URL(object.image_url ?? object.slack_file?.url).host; } catch { /* stays 'elsewhere' */ }
    return el('span', { class: small ? 'no-image small' : 'no-image', title: `An image from ${host} is not loaded` },
      small ? '🖼' : `🖼 ${object.alt_text ?? 'Image'} (an image from ${host}, not loaded)`);
  }
  return picture(id, object.alt_text ?? '', small);
}

export function picture(id, alt, small = false) {
  const source = `/page/file/${encodeURIComponent(id)}`;
  const shown = el('img', { src: source, alt, class: small ? 'thumb' : 'chart', loading: 'lazy' });
  if (small) return shown;
  return el('button', {
    type: 'button', class: 'enlarge', 'aria-label': `Enlarge: ${alt || 'image'}`,
    onclick: () => {
      const dialog = byId('picture');
      const close = el('button', { type: 'button', class: 'plain', 'aria-label': 'Close', onclick: () => dialog.close() }, '✕');
      dialog.replaceChildren(close, el('img', { src: source, alt }), el('p', {}, alt));
      dialog.showModal();
    },
  }, shown);
}

function section(block, context) {
  const fields = (block.fields ?? []).map((field) => el('div', { class: 'field' }, textObject(field, context.names)));
  const main = el('div', { class: 'section-main' },
    block.text && el('div', { class: 'text' }, textObject(block.text, context.names)),
    fields.length > 0 && el('div', { class: 'fields' }, ...fields));
  return el('div', { class: 'section' }, main,
    block.accessory && el('div', { class: 'accessory' }, element(block.accessory, block, context)));
}

function context(block, around) {
  return el('div', { class: 'context' }, ...(block.elements ?? []).map((item) => (item.type === 'image'
    ? image(item, true)
    : el('span', {}, textObject(item, around.names)))));
}

function input(block, around) {
  const control = element(block.element ?? {}, block, around);
  const inner = control.matches('input, textarea, select') ? control : control.querySelector('input, select, textarea');
  const id = `field-${block.block_id}`;
  const group = control.matches('.choices');
  if (group) control.setAttribute('aria-labelledby', `${id}-label`);
  else if (inner) inner.id = id;
  const error = el('p', { class: 'error', id: `${id}-error`, role: 'alert', hidden: true });
  inner?.setAttribute('aria-describedby', error.id);
  return el('div', { class: 'input', 'data-input': block.block_id },
    el('label', { id: `${id}-label`, for: group ? undefined : inner?.id }, plain(block.label), block.optional && el('span', { class: 'optional' }, ' (optional)')),
    control,
    block.hint && el('p', { class: 'hint' }, plain(block.hint)),
    error);
}

function table(block, around) {
  const [head, ...rows] = block.rows ?? [];
  const align = (column) => {
    const side = block.column_settings?.[column]?.align;
    return ['center', 'right'].includes(side) ? side : undefined;
  };
  const cell = (tag, value, column) => el(tag, { class: align(column), scope: tag === 'th' ? 'col' : undefined },
    value?.type === 'rich_text' ? richText(value, around.names) : withEmoji(String(value?.text ?? value?.number ?? '')));
  const row = (tag, cells) => el('tr', {}, ...(cells ?? []).map((value, column) => cell(tag, value, column)));
  return el('div', { class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Table' },
    el('table', {}, head && el('thead', {}, row('th', head)), el('tbody', {}, ...rows.map((cells) => row('td', cells)))));
}

function task(block, around) {
  const sign = { complete: '✅', in_progress: '⏳', pending: '⚪', error: '❌' }[block.status] ?? '⚪';
  return el('div', { class: 'task' }, el('b', {}, `${sign} `, plain(block.title)),
    block.details && richText(block.details, around.names), block.output && richText(block.output, around.names));
}

/** Whatever text an unknown block holds, so that nothing that was said is lost. */
function unknown(block) {
  const found = [];
  const walk = (value) => {
    if (typeof value?.text === 'string') found.push(value.text);
    if (value && typeof value === 'object') Object.values(value).forEach(walk);
  };
  walk(block);
  return el('div', { class: 'unknown' }, `A block of the type “${block?.type ?? 'none'}”. `, found.join(' · '));
}

const MAKERS = {
  section,
  context,
  input,
  table,
  header: (block) => el('h3', { class: `header ${block.level ? `level-${block.level}` : ''}` }, plain(block.text)),
  divider: () => el('hr'),
  actions: (block, around) => el('div', { class: 'actions' },
    ...(block.elements ?? []).map((item) => element(item, block, around))),
  context_actions: (block, around) => el('div', { class: 'actions' },
    ...(block.elements ?? []).map((item) => element(item, block, around))),
  image: (block) => el('figure', { class: 'image' },
    block.title && el('figcaption', {}, plain(block.title)), image(block)),
  rich_text: (block, around) => el('div', { class: 'text rich' }, richText(block, around.names)),
  markdown: (block) => el('div', { class: 'text rich' }, markdown(block.text)),
  alert: (block, around) => el('div', { class: `alert ${block.level ?? 'default'}` }, textObject(block.text, around.names)),
  task_card: task,
  plan: (block, around) => el('div', { class: 'plan' }, el('b', {}, plain(block.title)),
    ...(block.tasks ?? []).map((item) => task(item, around))),
  video: (block) => el('div', { class: 'unknown' }, '▶ ', plain(block.title)),
  file: () => el('div', { class: 'unknown' }, 'A file from elsewhere'),
};

const COLOURS = { good: '#2eb67d', warning: '#ecb22e', danger: '#e01e5a' };

/** A legacy attachment: a coloured bar beside what it says. */
export function attachment(object, around) {
  const colour = COLOURS[object.color] ?? (/^#?[0-9a-f]{6}$/i.test(object.color ?? '') ? `#${object.color.replace('#', '')}` : null);
  const bar = el('span', { class: 'bar-colour', 'aria-hidden': 'true' });
  if (colour) bar.style.backgroundColor = colour;
  const fields = (object.fields ?? []).map((field) => el('div', { class: field.short ? 'field' : 'field wide' },
    el('b', {}, mrkdwn(field.title ?? '', around.names)), el('div', {}, mrkdwn(String(field.value ?? ''), around.names))));
  const says = object.blocks || object.title || object.text || object.pretext || fields.length > 0;
  const body = el('div', { class: 'attachment-body' },
    object.author_name && el('p', { class: 'author' }, object.author_name),
    object.title && el('p', { class: 'title' }, object.title_link
      ? link(mrkdwn(object.title, around.names), object.title_link) : mrkdwn(object.title, around.names)),
    object.text && el('div', { class: 'text' }, mrkdwn(object.text, around.names)),
    !says && el('div', { class: 'text' }, mrkdwn(object.fallback ?? '', around.names)),
    fields.length > 0 && el('div', { class: 'fields' }, ...fields),
    object.blocks && blocks(object.blocks, around),
    object.image_url && image({ image_url: object.image_url, alt_text: 'Image' }),
    (object.footer || object.ts) && el('p', { class: 'footer' },
      [object.footer, object.ts && `${clock(object.ts)} UTC`].filter(Boolean).join(' · ')));
  return fragment(
    object.pretext && el('div', { class: 'text' }, mrkdwn(object.pretext, around.names)),
    el('div', { class: 'attachment' }, bar, body));
}
