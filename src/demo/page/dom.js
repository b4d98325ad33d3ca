// Builds elements. Text only ever becomes text nodes: nothing in this page parses markup.

/** `el('b', {class: 'x', onclick: f, 'aria-label': 'y'}, 'text', child, null)` */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'class') node.className = value;
    else node.setAttribute(key, value === true ? '' : String(value));
  }
  append(node, children);
  return node;
}

export function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child);
  }
  return node;
}

export function fragment(...children) {
  return append(document.createDocumentFragment(), children);
}

export const byId = (id) => document.getElementById(id);

/** Sends JSON to this page's own server. What it refuses is thrown in its own words. */
export async function send(path, body) {
  const response = await fetch(`/page/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    answer = {};
  }
  if (!response.ok) throw new Error(answer.error ?? `the demo answered ${response.status}`);
  return answer;
}

let toastTimer;
/** Says something for some seconds; for what has no place of its own. */
export function toast(text) {
  const box = byId('toast');
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.hidden = true; }, 7000);
}

/** Runs a deed; where it fails, the person is told. */
export async function attempt(deed) {
  try {
    return await deed();
  } catch (error) {
    toast(error.message);
    return undefined;
  }
}

/** `12:15` of a message id, in UTC like every time of an incident. */
export function clock(ts) {
  return new Date(Number(ts) * 1000).toISOString().slice(11, 16);
}

export function when(ts) {
  const iso = new Date(Number(ts) * 1000).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}
