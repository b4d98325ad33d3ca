// Lists of messages: the channel and the open thread, kept in order and drawn piece by piece.

import { el, fragment } from './dom.js';
import { focusedKey, refocus } from './elements.js';
import { message } from './message.js';

const NEAR = 140;

/** A list of messages in `root`. `context` is what each message needs. */
export function messageList(root, context) {
  const drawn = new Map();
  const key = (object) => `${object.private ? 'p' : 'm'}${object.ts}`;
  const toEnd = () => { root.scrollTop = root.scrollHeight; };
  // Whether somebody reads the newest: then it stays in sight whatever grows or shrinks around it.
  let atEnd = true;
  root.addEventListener('scroll', () => {
    atEnd = root.scrollHeight - root.scrollTop - root.clientHeight < NEAR;
  });
  new ResizeObserver(() => { if (atEnd) toEnd(); }).observe(root);

  /** Shows exactly these, in this order; what did not change is left alone. */
  function show(objects, empty) {
    const follow = atEnd;
    const wanted = new Set(objects.map(key));
    for (const [name, entry] of drawn) {
      if (!wanted.has(name)) {
        entry.node.remove();
        drawn.delete(name);
      }
    }
    root.querySelector(':scope > .empty')?.remove();
    let day = '';
    root.querySelectorAll(':scope > .day').forEach((node) => node.remove());
    let last = null;
    for (const object of objects) {
      const name = key(object);
      const text = JSON.stringify(object);
      let entry = drawn.get(name);
      if (!entry || entry.text !== text) {
        const node = message(object, context);
        if (entry) {
          const focused = focusedKey(entry.node);
          entry.node.replaceWith(node);
          refocus(node, focused);
        } else {
          node.classList.add('fresh');
        }
        entry = { node, text };
        drawn.set(name, entry);
      }
      const today = new Date(Number(object.ts) * 1000).toISOString().slice(0, 10);
      if (today !== day && !context.inThread) {
        day = today;
        const line = el('p', { class: 'day' }, el('span', {}, dayName(object.ts)));
        place(line, last);
        last = line;
      }
      place(entry.node, last);
      last = entry.node;
    }
    if (objects.length === 0 && empty) root.append(fragment(el('p', { class: 'empty' }, empty)));
    if (follow) toEnd();
  }

  function place(node, last) {
    const wanted = last ? last.nextSibling : root.firstChild;
    if (node !== wanted) root.insertBefore(node, wanted);
  }

  // With the arrow keys from message to message; Tab goes on to what a message offers.
  root.addEventListener('keydown', (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const on = document.activeElement;
    if (!step || (on !== root && !on.matches('.message'))) return;
    const all = [...root.querySelectorAll(':scope > .message')];
    const from = all.indexOf(on);
    const next = from < 0 ? all.at(step < 0 ? -1 : 0) : all[from + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: 'nearest' });
  });
  // Pictures grow the list after it was drawn.
  root.addEventListener('load', () => { if (atEnd) toEnd(); }, true);

  return {
    show,
    toEnd,
    clear: () => { drawn.clear(); root.replaceChildren(); atEnd = true; },
  };
}

function dayName(ts) {
  return new Date(Number(ts) * 1000).toLocaleDateString('en-GB', {
    weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC',
  });
}
