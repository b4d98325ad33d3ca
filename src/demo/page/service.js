// The checkout service's live figures, and the buttons that start things.

import { attempt, byId, el, send, toast } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT] = [300, 48];
const RECENT = 30_000;
const DRAWN = 90;
const CHIPS = 2;

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** The mean over some points, each as heavy as its requests. */
function mean(points, spec) {
  const requests = points.reduce((sum, point) => sum + point.requests, 0);
  return requests > 0 ? points.reduce((sum, point) => sum + spec.read(point) * point.requests, 0) / requests : null;
}

/** The last half minute: a single interval holds too few orders to say anything. */
function now(points, spec) {
  const end = points.length > 0 ? Date.parse(points.at(-1).at) : 0;
  return mean(points.filter((point) => end - Date.parse(point.at) < RECENT), spec);
}

/** At most `DRAWN` points for the line, neighbours taken together. */
function smoothed(points, spec) {
  const size = Math.ceil(points.length / DRAWN);
  const groups = [];
  for (let end = points.length; end > 0; end -= size) groups.unshift(points.slice(Math.max(0, end - size), end));
  return groups.map((group) => ({ at: group.at(-1).at, value: mean(group, spec) }));
}

/** One figure with its line over time. `spec`: {label, read(point), text(value), floor, bad} */
function meter(root, view, spec) {
  const points = smoothed(view.points.filter((point) => point.requests > 0), spec);
  const value = now(view.points, spec);
  const state = value === null ? 'none' : value >= spec.bad ? 'bad' : 'good';
  const top = Math.max(spec.floor, ...points.map((point) => point.value)) * 1.08;
  root.className = `meter ${state}`;
  root.replaceChildren(
    el('figcaption', {}, el('span', { class: 'meter-label' }, spec.label),
      el('span', { class: 'meter-value' }, value === null ? '–' : spec.text(value)),
      el('span', { class: 'meter-state' }, { good: 'normal', bad: 'high', none: 'no traffic' }[state])),
    line(points, view.marks, spec, top));
}

function line(points, marks, spec, top) {
  const drawing = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': described(points, spec),
  });
  if (points.length < 2) return drawing;
  const [first, last] = [Date.parse(points[0].at), Date.parse(points.at(-1).at)];
  const x = (at) => ((Date.parse(at) - first) / Math.max(last - first, 1)) * WIDTH;
  const y = (value) => HEIGHT - 1 - (value / top) * (HEIGHT - 3);
  const path = points.map((point, index) => `${index ? 'L' : 'M'}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`).join('');
  drawing.append(
    svg('path', { class: 'area', d: `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z` }),
    svg('path', { class: 'line', d: path }));
  if (spec.bad <= top) drawing.append(svg('line', { class: 'limit', x1: 0, x2: WIDTH, y1: y(spec.bad), y2: y(spec.bad) }));
  for (const mark of marks) {
    const at = x(mark.at);
    if (at < 0 || at > WIDTH) continue;
    const title = svg('title', {});
    title.textContent = `${mark.label}, ${mark.at.slice(11, 16)} UTC`;
    drawing.append(svg('line', { class: 'mark', x1: at, x2: at, y1: 0, y2: HEIGHT }, title));
  }
  return drawing;
}

function described(points, spec) {
  if (points.length === 0) return `${spec.label}: no figures yet`;
  const values = points.map((point) => point.value);
  return `${spec.label}: now ${spec.text(values.at(-1))}, highest ${spec.text(Math.max(...values))}`
    + ` since ${points[0].at.slice(11, 16)} UTC`;
}

const ERRORS = {
  label: 'Errors', read: (point) => point.error_rate, floor: 0.12, bad: 0.1,
  text: (value) => `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`,
};
const LATENCY = {
  label: 'p99', read: (point) => point.p99_ms, floor: 600, bad: 1000,
  text: (value) => `${Math.round(value).toLocaleString('en-US').replaceAll(',', '\u202f')} ms`,
};

/** The version and the first settings, numbers before words; the others where somebody asks for them. */
function showConfig(view) {
  const chip = ([key, value]) => el('span', { class: 'chip' }, `${key} `, el('b', {}, value));
  const settings = Object.entries(view.config);
  const wordy = ([, value]) => (value.trim() === '' || Number.isNaN(Number(value)) ? 1 : 0);
  settings.sort((a, b) => wordy(a) - wordy(b));
  const others = settings.slice(CHIPS);
  const list = others.map(([key, value]) => `${key} ${value}`).join('\n');
  byId('service-config').replaceChildren(
    ...(view.version ? [chip(['version', view.version])] : []), ...settings.slice(0, CHIPS).map(chip),
    ...(others.length ? [el('span', { class: 'chip', title: list, 'aria-label': `and ${list}` }, `+${others.length}`)] : []));
}

export function showService(view) {
  byId('service-name').textContent = view.name || 'Checkout service';
  showConfig(view);
  const mark = view.marks.at(-1);
  byId('service-mark').textContent = mark ? `${mark.label}, ${mark.at.slice(11, 16)} UTC` : '';
  meter(byId('meter-errors'), view, ERRORS);
  meter(byId('meter-latency'), view, LATENCY);
  byId('activity').textContent = view.activity ?? '';
  const scenario = byId('scenario');
  if (view.scenario && scenario.dataset.playing !== view.scenario) {
    scenario.dataset.playing = view.scenario;
    scenario.value = view.scenario;
  }
}

export function offerScenarios(scenarios) {
  const select = byId('scenario');
  const now = select.value;
  select.replaceChildren(...scenarios.map((each) => el('option', { value: each.name, title: each.about }, each.name)));
  if (scenarios.some((each) => each.name === now)) select.value = now;
  select.title = scenarios.find((each) => each.name === select.value)?.about ?? '';
}

export function wireControls() {
  const command = (body, done) => attempt(async () => {
    await send('command', body);
    toast(done);
  });
  byId('send-orders').addEventListener('click', () => command({ kind: 'send_orders', count: 50 }, '50 orders are on their way.'));
  byId('deploy-bad').addEventListener('click',
    () => command({ kind: 'deploy_bad_configuration' }, 'The bad configuration is being deployed.'));
  byId('scenario-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = byId('scenario').value;
    command({ kind: 'start_scenario', name }, `The scenario ${name} starts.`);
  });
  if (matchMedia('(max-width: 900px)').matches) byId('controls').open = false;
}
