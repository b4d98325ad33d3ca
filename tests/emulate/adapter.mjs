// What emulate's Slack lacks, in front of it: reads by GET, user groups, and signed requests to the bot.
//
// Everything else goes through as it is, so that what the bot posts is kept and given back by emulate alone.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// Serves the Web API in front of emulate; `groups` are members by user group's id. `calls` is what came.
export async function startAdapter(emulate, groups) {
  const calls = [];
  const server = createServer(async (request, response) => {
    try {
      const url = new URL(request.url, 'http://adapter');
      const method = url.pathname.split('/').pop();
      const raw = await bodyOf(request);
      const isJson = (request.headers['content-type'] ?? '').includes('json');
      const fields = isJson ? JSON.parse(raw.toString() || '{}') : Object.fromEntries(new URLSearchParams(raw.toString()));
      Object.assign(fields, Object.fromEntries(url.searchParams));
      calls.push({ method, fields });
      let status = 200;
      let text;
      if (method === 'usergroups.users.list') {
        const users = groups[fields.usergroup];
        text = JSON.stringify(users ? { ok: true, users } : { ok: false, error: 'no_such_subteam' });
      } else {
        const answer = await fetch(`${emulate}${url.pathname}`, {
          method: 'POST',
          headers: { authorization: request.headers.authorization ?? '', 'content-type': 'application/json' },
          body: JSON.stringify(fields),
        });
        status = answer.status;
        text = await answer.text();
      }
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
      response.end(text);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/api`, calls, close: () => server.close() };
}

// Sends the bot what Slack would: signed, and answered within three seconds.
export async function sendSigned(bot, secret, path, contentType, body) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const digest = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
  const answer = await fetch(`${bot}${path}`, {
    method: 'POST',
    headers: {
      'content-type': contentType,
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': `v0=${digest}`,
    },
    body,
    signal: AbortSignal.timeout(3000),
  });
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer.text();
}
