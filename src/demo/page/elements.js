// Interactive elements: buttons, selects, inputs. Each tells what was chosen through `context`.

import { el } from './dom.js';
import { plain, textObject } from './text.js';
import { confirm } from './dialogs.js';
import { image } from './blocks.js';

/**
 * context: {names, act(deed) → Promise, suggest(deed, typed) → Promise<options>, register(field), known(block, action)}
 * `register` is there in a form only: a field is {block_id, action_id, read() → choice or null}.
 */
export function element(object, block, context) {
  const make = MAKERS[object.type];
  return make ? make(object, block, context) : el('span', { class: 'unknown' }, `[${object.type}]`);
}

function deedOf(object, block, choice = {}) {
  return { action_id: object.action_id, block_id: block.block_id, choice };
}

/** Asks where the element wants it, then does it; the element is busy until the app acknowledged. */
async function perform(node, object, block, choice, context) {
  if (object.confirm && !(await confirm(object.confirm, context.names))) return false;
  node.setAttribute('aria-busy', 'true');
  try {
    await context.act(deedOf(object, block, choice));
  } finally {
    node.removeAttribute('aria-busy');
  }
  return true;
}

/** In a form a field waits to be read; elsewhere, and where it asks for it, a choice acts at once. */
function wire(node, object, block, context, read) {
  const inForm = context.register && block.type === 'input';
  if (context.register) {
    context.register({ block_id: block.block_id, action_id: object.action_id, read });
  }
  if (!inForm || block.dispatch_action) {
    node.addEventListener('change', () => {
      const choice = read();
      if (choice) perform(node, object, block, choice, context);
    });
  }
  node.dataset.key = `${block.block_id}/${object.action_id}`;
  return node;
}

function button(object, block, context) {
  const node = el('button', {
    type: 'button',
    class: `action ${object.style ?? ''}`,
    'data-action': object.action_id,
    'data-key': `${block.block_id}/${object.action_id}`,
    'aria-label': object.accessibility_label,
    onclick: () => perform(node, object, block, {}, context),
  }, plain(object.text));
  if (object.url) node.title = object.url;
  return node;
}

const optionText = (option) => option.text?.text ?? option.value;

function select(object, block, context) {
  const many = object.type.startsWith('multi_');
  const node = el('select', { multiple: many, 'aria-label': object.placeholder?.text ?? 'Choose' });
  if (!many) node.append(el('option', { value: '' }, object.placeholder?.text ?? 'Choose…'));
  const chosen = [object.initial_option, ...(object.initial_options ?? [])].filter(Boolean).map((each) => each.value);
  const known = context.known?.(block.block_id, object.action_id);
  if (known?.selected_option) chosen.splice(0, chosen.length, known.selected_option.value);
  const add = (parent, option) => parent.append(
    el('option', { value: option.value, selected: chosen.includes(option.value) }, optionText(option)));
  for (const group of object.option_groups ?? []) {
    const parent = el('optgroup', { label: group.label?.text ?? '' });
    (group.options ?? []).forEach((option) => add(parent, option));
    node.append(parent);
  }
  (object.options ?? []).forEach((option) => add(node, option));
  return wire(node, object, block, context, () => {
    if (many) return { options: [...node.selectedOptions].map((option) => option.value) };
    return node.value ? { option: node.value } : null;
  });
}

/** People, channels: a select over what the workspace has. */
function directory(object, block, context) {
  const entries = object.type.includes('user') ? context.names.users() : context.names.channels();
  const initial = object.initial_user ?? object.initial_channel ?? object.initial_conversation;
  const node = el('select', { 'aria-label': object.placeholder?.text ?? 'Choose' },
    el('option', { value: '' }, object.placeholder?.text ?? 'Choose…'),
    ...entries.map(([id, label]) => el('option', { value: id, selected: id === initial }, label)));
  return wire(node, object, block, context, () => (node.value ? { text: node.value } : null));
}

let listNumber = 0;
/** A select with type-ahead: the app is asked for options while somebody types. */
function external(object, block, context) {
  listNumber += 1;
  const list = el('ul', { class: 'options', role: 'listbox', id: `options-${listNumber}`, hidden: true });
  const input = el('input', {
    type: 'text', role: 'combobox', autocomplete: 'off', 'aria-expanded': 'false', 'aria-controls': list.id,
    placeholder: object.placeholder?.text ?? 'Type to search',
    value: object.initial_option ? optionText(object.initial_option) : '',
  });
  const node = el('div', { class: 'typeahead' }, input, list);
  let chosen = object.initial_option ?? null;
  let timer;
  let asked = 0;
  const close = () => {
    list.hidden = true;
    input.setAttribute('aria-expanded', 'false');
    input.removeAttribute('aria-activedescendant');
  };
  const choose = (option) => {
    chosen = option;
    input.value = optionText(option);
    close();
    node.dispatchEvent(new Event('change'));
  };
  const look = async () => {
    if (input.value.length < (object.min_query_length ?? 3)) {
      close();
      return;
    }
    asked += 1;
    const mine = asked;
    const options = await context.suggest(deedOf(object, block), input.value);
    if (mine !== asked) return;
    list.replaceChildren(...options.map((option, index) => el('li', {
      role: 'option', id: `${list.id}-${index}`, 'aria-selected': 'false',
      onpointerdown: (event) => { event.preventDefault(); choose(option); },
    }, optionText(option))));
    if (options.length === 0) list.append(el('li', { class: 'none' }, 'Nothing fits'));
    list.hidden = false;
    input.setAttribute('aria-expanded', 'true');
    list.options = options;
  };
  const move = (step) => {
    const items = [...list.querySelectorAll('[role=option]')];
    if (items.length === 0) return;
    const now = items.findIndex((item) => item.getAttribute('aria-selected') === 'true');
    const next = (now + step + items.length) % items.length;
    items.forEach((item, index) => item.setAttribute('aria-selected', String(index === next)));
    input.setAttribute('aria-activedescendant', items[next].id);
    items[next].scrollIntoView({ block: 'nearest' });
  };
  input.addEventListener('input', () => {
    chosen = null;
    clearTimeout(timer);
    timer = setTimeout(look, 200);
  });
  input.addEventListener('focus', () => { if (!chosen) look(); });
  input.addEventListener('blur', close);
  input.addEventListener('keydown', (event) => {
    if (list.hidden) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      move(event.key === 'ArrowDown' ? 1 : -1);
    } else if (event.key === 'Enter') {
      const index = [...list.children].findIndex((item) => item.getAttribute('aria-selected') === 'true');
      if (index >= 0) {
        event.preventDefault();
        choose(list.options[index]);
      }
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      event.preventDefault();
      close();
    }
  });
  return wire(node, object, block, context, () => (chosen ? { offered: chosen } : null));
}

/** A menu behind three dots. */
function overflow(object, block, context) {
  const menu = el('div', { class: 'menu', role: 'menu' });
  const node = el('details', { class: 'overflow', 'data-key': `${block.block_id}/${object.action_id}` },
    el('summary', { 'aria-label': 'More' }, '⋯'), menu);
  for (const option of object.options ?? []) {
    menu.append(el('button', {
      type: 'button', role: 'menuitem', class: 'plain',
      onclick: () => { node.open = false; perform(node, object, block, { option: option.value }, context); },
    }, plain(option.text)));
  }
  return node;
}

let groupNumber = 0;
function choices(object, block, context) {
  groupNumber += 1;
  const type = object.type === 'checkboxes' ? 'checkbox' : 'radio';
  const initial = [object.initial_option, ...(object.initial_options ?? [])].filter(Boolean).map((each) => each.value);
  const node = el('div', { class: 'choices', role: type === 'radio' ? 'radiogroup' : 'group' },
    ...(object.options ?? []).map((option) => el('label', {},
      el('input', { type, name: `choice-${groupNumber}`, value: option.value, checked: initial.includes(option.value) }),
      el('span', {}, textObject(option.text, context.names),
        option.description && el('small', {}, textObject(option.description, context.names))))));
  return wire(node, object, block, context, () => {
    const values = [...node.querySelectorAll('input:checked')].map((input) => input.value);
    if (type === 'checkbox') return { options: values };
    return values.length ? { option: values[0] } : null;
  });
}

function input(object, block, context) {
  const types = {
    email_text_input: 'email', url_text_input: 'url', number_input: 'text', datepicker: 'date', timepicker: 'time',
    datetimepicker: 'datetime-local',
  };
  const known = context.known?.(block.block_id, object.action_id);
  const initial = known?.value ?? object.initial_value ?? object.initial_date ?? object.initial_time ?? '';
  const props = {
    placeholder: object.placeholder?.text, maxlength: object.max_length, minlength: object.min_length,
    'aria-label': block.label ? undefined : object.placeholder?.text ?? object.type,
    inputmode: object.type === 'number_input' ? 'decimal' : undefined,
  };
  const node = object.multiline
    ? el('textarea', { ...props, rows: 4 })
    : el('input', { ...props, type: types[object.type] ?? 'text' });
  node.value = initial;
  if (object.type === 'datetimepicker' && object.initial_date_time) {
    node.value = new Date(object.initial_date_time * 1000).toISOString().slice(0, 16);
  }
  return wire(node, object, block, context, () => {
    if (node.value === '') return null;
    if (object.type === 'datetimepicker') return { text: String(Date.parse(`${node.value}Z`) / 1000) };
    return { text: node.value };
  });
}

function feedback(object, block, context) {
  const one = (choice, sign) => {
    const node = el('button', {
      type: 'button', class: 'action small', 'aria-label': choice.accessibility_label ?? choice.text?.text,
      'data-action': object.action_id,
      onclick: () => perform(node, object, block, { text: choice.value }, context),
    }, sign);
    return node;
  };
  return el('span', { class: 'feedback' }, one(object.positive_button ?? {}, '👍'), one(object.negative_button ?? {}, '👎'));
}

const MAKERS = {
  button,
  workflow_button: button,
  icon_button: button,
  feedback_buttons: feedback,
  image: (object) => image(object, true),
  static_select: select,
  multi_static_select: select,
  external_select: external,
  multi_external_select: external,
  users_select: directory,
  multi_users_select: directory,
  channels_select: directory,
  multi_channels_select: directory,
  conversations_select: directory,
  multi_conversations_select: directory,
  overflow,
  checkboxes: choices,
  radio_buttons: choices,
  plain_text_input: input,
  email_text_input: input,
  url_text_input: input,
  number_input: input,
  datepicker: input,
  timepicker: input,
  datetimepicker: input,
};

/** Gives the focus back to the element with this key after its surroundings were drawn anew. */
export function refocus(root, key) {
  if (!key) return;
  [...root.querySelectorAll('[data-key]')].find((node) => node.dataset.key === key)?.focus();
}

/** The key of the focused element within `root`. */
export function focusedKey(root) {
  const active = document.activeElement;
  return root && active && root.contains(active) ? active.closest('[data-key]')?.dataset.key : undefined;
}

