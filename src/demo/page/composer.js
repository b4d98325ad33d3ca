// The box in which somebody writes: Enter sends, Shift+Enter breaks the line, / and @ offer names.

import { byId, el } from './dom.js';

/**
 * options: {id, label, placeholder(), offers(word) → [{insert, label, about}], send(text) → Promise<boolean>}
 */
export function composer(options) {
  const list = el('ul', { class: 'options up', role: 'listbox', id: `${options.id}-options`, hidden: true });
  const text = el('textarea', {
    id: `${options.id}-text`, rows: 1, 'aria-label': options.label, autocomplete: 'off', 'aria-controls': list.id,
    enterkeyhint: 'send',
  });
  const button = el('button', { type: 'submit', class: 'action primary send', 'aria-label': 'Send' }, 'Send');
  const form = el('form', { class: 'composer' }, list, text, button);
  let offers = [];
  let chosen = 0;

  const grow = () => {
    text.style.height = 'auto';
    text.style.height = `${Math.min(text.scrollHeight, 160)}px`;
  };
  const word = () => /(?:^|\s)([/@][^\s]*)$/.exec(text.value.slice(0, text.selectionStart))?.[1] ?? '';
  const close = () => { list.hidden = true; offers = []; };
  const draw = () => {
    list.replaceChildren(...offers.map((offer, index) => el('li', {
      role: 'option', 'aria-selected': String(index === chosen),
      onpointerdown: (event) => { event.preventDefault(); insert(offer); },
    }, el('b', {}, offer.label), el('small', {}, offer.about))));
    list.hidden = offers.length === 0;
  };
  const offer = () => {
    const typed = word();
    // A command stands only at the beginning.
    const fits = typed && (typed[0] === '@' || text.value.startsWith(typed));
    offers = fits ? options.offers(typed) : [];
    chosen = 0;
    draw();
  };
  const insert = (offered) => {
    const end = text.selectionStart;
    const start = end - word().length;
    text.value = `${text.value.slice(0, start)}${offered.insert} ${text.value.slice(end).trimStart()}`;
    text.selectionStart = text.selectionEnd = start + offered.insert.length + 1;
    close();
    grow();
    text.focus();
  };

  text.addEventListener('input', () => { grow(); offer(); });
  text.addEventListener('blur', close);
  text.addEventListener('keydown', (event) => {
    if (offers.length > 0 && !list.hidden) {
      if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        event.preventDefault();
        chosen = (chosen + (event.key === 'ArrowDown' ? 1 : -1) + offers.length) % offers.length;
        draw();
        return;
      }
      if (event.key === 'Tab' || (event.key === 'Enter' && offers[chosen].insert !== word())) {
        event.preventDefault();
        insert(offers[chosen]);
        return;
      }
      if (event.key === 'Escape') {
        event.stopPropagation();
        close();
        return;
      }
    }
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const typed = text.value.trim();
    if (!typed || form.hasAttribute('aria-busy')) return;
    close();
    form.setAttribute('aria-busy', 'true');
    text.value = '';
    grow();
    const sent = await options.send(typed);
    form.removeAttribute('aria-busy');
    // What was refused is given back to be mended.
    if (!sent && text.value === '') text.value = typed;
    grow();
  });
  byId(options.id).replaceChildren(form);
  return {
    refresh: () => { text.placeholder = options.placeholder(); },
    focus: () => text.focus(),
  };
}
