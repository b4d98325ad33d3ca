// The page's state: what the workspace holds, where the person is, and who they are.

import { attempt, byId, el, send, toast } from './dom.js';
import { blocks } from './blocks.js';
import { messageList } from './channel.js';
import { composer } from './composer.js';
import { closeModal, showModal } from './dialogs.js';
import { avatar } from './message.js';
import { offerScenarios, showService, wireControls } from './service.js';

const ROLES = { on_call: 'on call', approver: 'approver', developer: 'developer', stranger: 'stranger' };

let world = null;
let you = sessionStorage.getItem('you') ?? '';
let place = '';
let thread = null;
const messages = new Map();
const dismissed = new Set();
let stream = null;

const names = {
  user: (id) => world.users.find((user) => user.id === id)?.display_name ?? (id === world.app.user_id ? world.app.name : id),
  channel: (id) => world.channels.find((channel) => channel.id === id)?.name,
  group: (id) => world.groups.find((group) => group.id === id)?.handle,
  users: () => world.users.map((user) => [user.id, user.display_name]),
  channels: () => world.channels.map((channel) => [channel.id, `#${channel.name}`]),
};

const context = {
  names,
  get world() { return world; },
  you: () => you,
  act: (at, deed) => attempt(() => send('action', { user: you, place: at, deed })),
  suggest: async (at, deed, typed) => (await attempt(() => send('suggest', { user: you, place: at, deed, typed })))?.options ?? [],
  shortcut: (message, id) => attempt(() => send('shortcut', { user: you, channel: message.channel, ts: message.ts, callback_id: id })),
  dismiss: (ts) => { dismissed.add(ts); draw(); },
  openThread: (ts) => openThread(ts),
  close: () => closeModal(you),
};

const channelList = messageList(byId('messages'), context);
const threadList = messageList(byId('replies'), Object.create(context, { inThread: { value: true } }));

function offers(typed) {
  const rest = typed.slice(1).toLowerCase();
  if (typed[0] === '/') {
    return world.app.commands.filter((command) => command.startsWith(typed))
      .map((command) => ({ insert: command, label: command, about: world.app.name }));
  }
  const people = [{ name: world.app.handle, display_name: world.app.name }, ...world.users];
  const groups = world.groups.map((group) => ({ name: group.handle, display_name: group.name }));
  return [...people, ...groups].filter((each) => each.name.startsWith(rest) || each.display_name.toLowerCase().startsWith(rest))
    .map((each) => ({ insert: `@${each.name}`, label: each.display_name, about: `@${each.name}` }));
}

const write = (thread_ts) => async (text) => {
  const sent = await attempt(() => send('message', { user: you, channel: place, text, thread_ts: thread_ts() }));
  if (sent) channelList.toEnd();
  return sent !== undefined;
};
const mainBox = composer({
  id: 'compose', label: 'Message', offers, send: write(() => undefined),
  placeholder: () => `Message #${names.channel(place) ?? ''}, or /investigate`,
});
const threadBox = composer({
  id: 'thread-compose', label: 'Reply', offers, send: write(() => thread),
  placeholder: () => `Reply, or @${world?.app.handle ?? ''}`,
});

function inChannel(object) {
  return object.channel === place && (!object.thread_ts || object.thread_ts === object.ts || object.broadcast);
}

function inThread(object) {
  return thread && object.channel === place && (object.thread_ts === thread || object.ts === thread);
}

function everything() {
  const mine = world.ephemerals.filter((object) => !dismissed.has(object.ts)).map((object) => ({ ...object, private: true }));
  return [...messages.values(), ...mine].sort((a, b) => (a.ts < b.ts ? -1 : 1));
}

function draw() {
  const isHome = place === 'home';
  byId('messages').hidden = isHome;
  byId('compose').hidden = isHome;
  byId('home').hidden = !isHome;
  const all = everything();
  if (isHome) drawHome();
  else channelList.show(all.filter(inChannel), 'Nothing has happened here yet.');
  byId('thread').hidden = !thread || isHome;
  document.body.classList.toggle('with-thread', Boolean(thread) && !isHome);
  if (thread) threadList.show(all.filter(inThread));
  else threadList.clear();
}

function drawHome() {
  const around = {
    names,
    act: (deed) => context.act({ kind: 'home' }, deed),
    suggest: (deed, typed) => context.suggest({ kind: 'home' }, deed, typed),
  };
  byId('home').replaceChildren(world.home
    ? blocks(world.home.body.blocks, around)
    : el('p', { class: 'empty' }, `${world.app.name} has not put anything here yet.`));
}

function go(where) {
  place = where;
  thread = null;
  location.hash = where;
  channelList.clear();
  byId('channel-name').textContent = where === 'home' ? world.app.name : `# ${names.channel(where)}`;
  drawPlaces();
  mainBox.refresh();
  draw();
  channelList.toEnd();
  if (where === 'home') attempt(() => send('home', { user: you }));
}

function openThread(ts) {
  thread = ts;
  threadList.clear();
  threadBox.refresh();
  draw();
  // On a phone the focus would bring the keyboard up over what somebody wants to read.
  if (matchMedia('(hover: hover)').matches) threadBox.focus();
  else byId('replies').focus({ preventScroll: true });
}

function closeThread() {
  const opener = byId('messages').querySelector(`[data-ts="${CSS.escape(thread ?? '')}"] .replies`);
  thread = null;
  draw();
  opener?.focus();
}

function drawPlaces() {
  const entry = (id, label) => el('button', {
    type: 'button', class: 'place', 'data-place': id, 'aria-current': id === place ? 'page' : undefined, onclick: () => go(id),
  }, label);
  byId('places').replaceChildren(
    ...world.channels.map((channel) => entry(channel.id, `# ${channel.name}`)), entry('home', `◧ ${world.app.name}`));
}

function drawPeople() {
  byId('people').replaceChildren(...world.users.map((user) => el('label', { class: 'person' },
    el('input', { type: 'radio', name: 'you', value: user.id, checked: user.id === you, onchange: () => become(user.id) }),
    avatar(user.id, user.display_name),
    el('span', { class: 'person-name' }, firstName(user), el('span', { class: 'rest' }, restOfName(user)), el('small', {}, ROLES[user.role] ?? user.role)))));
}

const firstName = (user) => user.display_name.split(' ')[0];
const restOfName = (user) => user.display_name.slice(firstName(user).length);

function become(user) {
  you = user;
  sessionStorage.setItem('you', user);
  // What only the other one may see goes at once.
  world.ephemerals = [];
  showModal(null, context);
  draw();
  connect();
}

function connected(ok) {
  const sign = byId('connection');
  sign.textContent = ok ? 'live' : 'connecting…';
  sign.classList.toggle('off', !ok);
}

function connect() {
  stream?.close();
  stream = new EventSource(`/page/live?user=${encodeURIComponent(you)}`);
  const on = (name, act) => stream.addEventListener(name, (event) => act(JSON.parse(event.data)));
  stream.addEventListener('open', () => connected(true));
  stream.addEventListener('error', () => {
    connected(false);
    // The browser tries again by itself, but not after an answer that was no stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 1500);
  });
  on('everything', (all) => {
    world = all;
    you = all.you;
    document.body.dataset.you = you;
    messages.clear();
    all.messages.forEach((object) => messages.set(`${object.channel} ${object.ts}`, object));
    // Another story begins with an empty channel: a thread of the one before is gone.
    if (thread && !messages.has(`${place} ${thread}`)) thread = null;
    byId('workspace').textContent = all.workspace.name;
    document.title = `${all.app.name} – ${all.workspace.name}`;
    offerScenarios(all.scenarios);
    drawPeople();
    const known = all.channels.some((channel) => channel.id === place) || place === 'home';
    if (known) {
      drawPlaces();
      draw();
    } else {
      const wanted = location.hash.slice(1);
      go(all.channels.some((channel) => channel.id === wanted) || wanted === 'home' ? wanted : all.first_channel);
    }
    showService(all.service);
    showModal(all.modal, context);
  });
  on('messages', (list) => {
    list.forEach((object) => messages.set(`${object.channel} ${object.ts}`, object));
    draw();
  });
  on('deleted', (gone) => { messages.delete(`${gone.channel} ${gone.ts}`); draw(); });
  on('ephemerals', (list) => { world.ephemerals = list; draw(); });
  on('modal', (view) => showModal(view, context));
  on('home', (view) => { world.home = view; draw(); });
  on('service', showService);
}

byId('thread-close').addEventListener('click', closeThread);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && thread && !document.querySelector('dialog[open]')) closeThread();
});
window.addEventListener('unhandledrejection', (event) => toast(String(event.reason?.message ?? event.reason)));
wireControls();
connect();
