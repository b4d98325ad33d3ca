// Confirmation dialogs and the app's modals.

import { attempt, byId, el, send } from './dom.js';
import { blocks } from './blocks.js';
import { plain, textObject } from './text.js';

/** Asks as a confirmation object says; resolves to whether it was confirmed. */
export function confirm(object, names) {
  const dialog = byId('confirm');
  return new Promise((resolve) => {
    const done = (answer) => () => { dialog.returnValue = answer; dialog.close(answer); };
    dialog.replaceChildren(
      el('h2', { id: 'confirm-title' }, plain(object.title)),
      el('div', { class: 'text' }, textObject(object.text, names)),
      el('div', { class: 'buttons' },
        el('button', { type: 'button', class: 'action', 'data-confirm': 'no', onclick: done('no') }, plain(object.deny)),
        el('button', {
          type: 'button', class: `action ${object.style === 'danger' ? 'danger' : 'primary'}`, 'data-confirm': 'yes', onclick: done('yes'),
        }, plain(object.confirm))));
    dialog.setAttribute('aria-labelledby', 'confirm-title');
    dialog.returnValue = 'no';
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
    dialog.showModal();
  });
}

/** What was typed stays where a modal is drawn anew with the same fields, as in Slack. */
function typedValues(dialog) {
  const kept = new Map();
  for (const node of dialog.querySelectorAll('[data-key]')) {
    const control = node.matches('input, textarea, select') ? node : node.querySelector('input[type=text]');
    if (control) kept.set(node.dataset.key, control.value);
  }
  return kept;
}

let shown = null;

/** Shows the modal that the workspace says is open, or closes it. */
export function showModal(view, context) {
  const dialog = byId('modal');
  if (!view) {
    shown = null;
    if (dialog.open) dialog.close();
    return;
  }
  if (shown && shown.id === view.id && shown.hash === view.hash) return;
  const kept = shown && shown.id === view.id ? typedValues(dialog) : new Map();
  shown = { id: view.id, hash: view.hash };
  const fields = [];
  const body = view.body;
  const around = {
    names: context.names,
    act: (deed) => context.act({ kind: 'modal' }, deed),
    suggest: (deed, typed) => context.suggest({ kind: 'modal' }, deed, typed),
    register: (field) => fields.push(field),
    known: (block, action) => view.values?.[block]?.[action],
  };
  const problem = el('p', { class: 'error', role: 'alert', hidden: true });
  const form = el('form', { class: 'modal-form', novalidate: true },
    el('header', {}, el('h2', { id: 'modal-title' }, plain(body.title)),
      el('button', { type: 'button', class: 'plain', 'aria-label': 'Close', onclick: () => context.close() }, '✕')),
    el('div', { class: 'modal-body' }, blocks(body.blocks, around), problem),
    el('footer', {},
      el('button', { type: 'button', class: 'action', onclick: () => context.close() }, body.close ? plain(body.close) : 'Cancel'),
      body.submit && el('button', { type: 'submit', class: 'action primary' }, plain(body.submit))));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    await submit(form, fields, problem, context);
  });
  dialog.replaceChildren(form);
  dialog.setAttribute('aria-labelledby', 'modal-title');
  dialog.oncancel = (event) => {
    event.preventDefault();
    context.close();
  };
  for (const node of dialog.querySelectorAll('[data-key]')) {
    const value = kept.get(node.dataset.key);
    const control = node.matches('input, textarea, select') ? node : node.querySelector('input[type=text]');
    if (value !== undefined && control) control.value = value;
  }
  if (!dialog.open) dialog.showModal();
}

async function submit(form, fields, problem, context) {
  for (const error of form.querySelectorAll('.error')) error.hidden = true;
  const filled = fields.map((field) => ({ ...field, choice: field.read() }))
    .filter((field) => field.choice)
    .map(({ block_id, action_id, choice }) => ({ block_id, action_id, choice }));
  form.setAttribute('aria-busy', 'true');
  try {
    const answer = await send('view/submit', { user: context.you(), filled });
    for (const [block, text] of Object.entries(answer.errors ?? {})) {
      const input = [...form.querySelectorAll('[data-input]')].find((node) => node.dataset.input === block);
      const error = input?.querySelector('.error') ?? problem;
      error.textContent = text;
      error.hidden = false;
    }
    form.querySelector('.error:not([hidden])')?.parentElement.querySelector('input, textarea, select')?.focus();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  } finally {
    form.removeAttribute('aria-busy');
  }
}

/** Tells the workspace that the person closed the modal. */
export function closeModal(you) {
  return attempt(() => send('view/close', { user: you }));
}
