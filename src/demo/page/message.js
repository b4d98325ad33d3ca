// One message: who, when, what it says, and what can be done with it.

import { clock, el, fragment, when } from './dom.js';
import { attachment, blocks, picture } from './blocks.js';
import { emoji } from './emoji.js';
import { mrkdwn } from './text.js';

/** A steady hue for a name. */
function hue(text) {
  let sum = 0;
  for (const char of text) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

export function avatar(id, name, isApp = false) {
  const initials = isApp ? '' : name.split(/\s+/).map((word) => word[0] ?? '').slice(0, 2).join('').toUpperCase();
  const node = el('span', { class: isApp ? 'avatar app' : 'avatar', 'aria-hidden': 'true' }, initials);
  if (!isApp) node.style.setProperty('--hue', String(hue(id)));
  return node;
}

/** Who a message is from, as Slack decides it. */
export function authorOf(message, world) {
  if (message.user === 'USLACKBOT') return { id: 'USLACKBOT', name: 'Slackbot', bot: true };
  if (message.bot_id === world.app.bot_id) return { id: world.app.id, name: world.app.name, bot: true, own: true };
  if (message.bot_id) {
    return { id: message.bot_id, name: message.username ?? message.bot_profile?.name ?? message.bot_id, bot: true };
  }
  const user = world.users.find((each) => each.id === message.user);
  return { id: message.user ?? '', name: user?.display_name ?? message.user ?? 'Somebody', bot: false };
}

/**
 * context: {world, names, act(place, deed), suggest, openThread(ts), shortcut(message, id), dismiss(ts), inThread}
 */
export function message(object, context) {
  const author = authorOf(object, context.world);
  const place = { kind: 'message', channel: object.channel, ts: object.ts };
  const around = {
    names: context.names,
    act: (deed) => context.act(place, deed),
    suggest: (deed, typed) => context.suggest(place, deed, typed),
  };
  const node = el('article', {
    class: ['message', object.private && 'private', author.bot && 'from-app', object.subtype === 'tombstone' && 'gone']
      .filter(Boolean).join(' '),
    tabindex: '-1',
    'data-ts': object.ts,
    'data-key': object.ts,
    'data-event': object.metadata?.event_type,
    'data-private': object.private ? 'true' : undefined,
    'aria-label': `${author.name} at ${clock(object.ts)}`,
  },
  avatar(author.id, author.name, author.own),
  el('div', { class: 'message-body' },
    object.private && el('p', { class: 'only-you' }, '👁 Only visible to you'),
    el('header', {},
      el('b', { class: 'name' }, author.name),
      author.bot && el('span', { class: 'badge' }, 'App'),
      el('time', { datetime: new Date(Number(object.ts) * 1000).toISOString(), title: when(object.ts) }, clock(object.ts)),
      object.thread_ts && object.broadcast && el('span', { class: 'note' }, 'replied to a thread')),
    body(object, around),
    object.private && el('button', { type: 'button', class: 'plain dismiss', onclick: () => context.dismiss(object.ts) }, 'Dismiss'),
    reactions(object),
    !context.inThread && !object.private && summary(object, context)),
  tools(object, context));
  return node;
}

function body(object, around) {
  const content = fragment();
  if (object.blocks?.length) content.append(el('div', { class: 'blocks' }, blocks(object.blocks, around)));
  else if (object.text) content.append(el('div', { class: 'text' }, mrkdwn(object.text, around.names)));
  if (object.edited && object.user && !object.bot_id) content.append(el('span', { class: 'note' }, '(edited)'));
  for (const each of object.attachments ?? []) content.append(attachment(each, around));
  for (const file of object.files ?? []) {
    content.append(file.mimetype?.startsWith('image/')
      ? el('figure', { class: 'image' }, el('figcaption', {}, file.title), picture(file.id, file.alt_txt || file.title))
      : el('p', { class: 'file' }, `📄 ${file.title} (${file.pretty_type}, ${file.size} bytes)`));
  }
  return content;
}

function reactions(object) {
  if (!object.reactions?.length) return null;
  return el('div', { class: 'reactions' }, ...object.reactions.map((reaction) => el('span', {
    class: 'reaction', title: `:${reaction.name}:`,
  }, `${emoji(reaction.name) ?? `:${reaction.name}:`} ${reaction.count}`)));
}

function summary(object, context) {
  if (!object.reply_count) return null;
  const count = object.reply_count === 1 ? '1 reply' : `${object.reply_count} replies`;
  return el('button', {
    type: 'button', class: 'replies', 'data-key': `${object.ts}/replies`, onclick: () => context.openThread(object.thread_ts ?? object.ts),
  }, el('b', {}, count), el('span', {}, `Last reply at ${clock(object.latest_reply)}`));
}

function tools(object, context) {
  if (object.private || object.subtype === 'tombstone') return null;
  const node = el('div', { class: 'tools' });
  if (!context.inThread) {
    node.append(el('button', {
      type: 'button', class: 'tool', 'data-tool': 'thread', onclick: () => context.openThread(object.thread_ts ?? object.ts),
    }, '💬 Reply in thread'));
  }
  for (const [id, label] of context.world.app.shortcuts) {
    node.append(el('button', { type: 'button', class: 'tool', 'data-shortcut': id, onclick: () => context.shortcut(object, id) }, `⚡ ${label}`));
  }
  return node;
}
