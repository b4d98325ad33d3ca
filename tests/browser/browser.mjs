// What both scripts need: a demo that runs, a browser that watches for errors and foreign requests.

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const TOP = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** `--url`, or `--bin` to be started on free ports; `--out` for the screenshots; `--documents` writes those of docs/ anew. */
export function options() {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      bin: { type: 'string' },
      out: { type: 'string', default: resolve(TOP, 'target/screenshots') },
      documents: { type: 'boolean', default: false },
    },
  });
  if (!values.url === !values.bin) {
    console.error('one of --url URL and --bin PROGRAM is needed');
    process.exit(2);
  }
  mkdirSync(values.out, { recursive: true });
  return values;
}

/** A port with the three after it free, as the demo takes four. */
async function freePorts() {
  const open = (port) => new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(port, '127.0.0.1', () => done(server));
  });
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const held = [];
    try {
      held.push(await open(0));
      const first = held[0].address().port;
      for (let offset = 1; offset < 4; offset += 1) held.push(await open(first + offset));
      return first;
    } catch {
      // One of them is taken: the next random port.
    } finally {
      await Promise.all(held.map((server) => new Promise((done) => { server.close(done); })));
    }
  }
  throw new Error('no four free ports in a row');
}

/** Starts `bin` with `args` on a free address and waits until its page answers. */
export async function start(bin, args) {
  const port = await freePorts();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(bin, [...args, '--addr', `127.0.0.1:${port}`], { stdio: ['ignore', 'inherit', 'inherit'] });
  let ended = null;
  child.once('exit', (code, signal) => { ended = `it ended with ${code ?? signal}`; });
  child.once('error', (error) => { ended = error.message; });
  const stop = () => new Promise((done) => {
    if (ended) done();
    child.once('exit', done);
    child.kill('SIGTERM');
  });
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline && !ended) {
    try {
      if ((await fetch(url)).ok) return { url, stop };
    } catch {
      await new Promise((done) => { setTimeout(done, 100); });
    }
  }
  await stop();
  throw new Error(`${bin} does not serve a page: ${ended ?? 'nothing answers'}`);
}

/** A browser whose pages note what must not happen. */
export async function launch() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  const wrong = [];
  async function open(url, { phone = false, dark = false } = {}) {
    const context = await browser.newContext({
      viewport: phone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
      deviceScaleFactor: phone ? 2 : 1,
      isMobile: phone,
      hasTouch: phone,
      colorScheme: dark ? 'dark' : 'light',
    });
    const page = await context.newPage();
    page.on('pageerror', (error) => wrong.push(`JavaScript error: ${error}`));
    page.on('console', (message) => {
      // A story that begins anew breaks the live connection for a moment, as it should.
      const broken = /net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|CONNECTION_RESET)/;
      if (message.type() === 'error' && !broken.test(message.text())) wrong.push(`console: ${message.text()}`);
    });
    page.on('response', async (response) => {
      if (response.status() < 400) return;
      const words = await response.text().catch(() => '');
      wrong.push(`${response.status()} from ${response.url()} to ${response.request().postData() ?? ''}: ${words}`);
    });
    page.on('request', (request) => {
      const from = new URL(request.url());
      if (from.protocol !== 'data:' && from.origin !== new URL(url).origin) wrong.push(`foreign request: ${request.url()}`);
    });
    await page.goto(url);
    await page.locator('#connection', { hasText: 'live' }).waitFor();
    return page;
  }
  return { open, wrong, close: () => browser.close() };
}

/** Fails with what is wrong in words. */
export function check(holds, words) {
  if (!holds) throw new Error(words);
  console.log(`  ok: ${words}`);
}

/** Runs `script({ open, picture, documented, url })`, and exits 1 where it fails or the browser saw something wrong. */
export async function run(args, script) {
  const { url, bin, out, documents } = options();
  const demo = bin ? await start(resolve(bin), args) : { url, stop: async () => {} };
  const browser = await launch();
  let failed = null;
  const pages = [];
  const open = async (how) => {
    const page = await browser.open(demo.url, how);
    pages.push(page);
    return page;
  };
  const shoot = (page, path) => page.screenshot({ path, animations: 'disabled' });
  const picture = (page, name) => shoot(page, resolve(out, `${name}.png`));
  /** A picture that a document shows, where it is to be written anew. */
  const documented = async (page, name) => {
    if (documents) await shoot(page, resolve(TOP, 'docs/pictures', `${name}.png`));
  };
  try {
    await script({ open, picture, documented, url: demo.url });
    check(browser.wrong.length === 0, `no JavaScript error and no foreign request ${browser.wrong.join('; ')}`);
  } catch (error) {
    failed = error;
    for (const [index, page] of pages.entries()) {
      if (!page.isClosed()) await picture(page, `failed-${index + 1}`).catch(() => {});
    }
  }
  await browser.close();
  await demo.stop();
  if (failed) {
    console.error(`FAILED: ${failed.message}`);
    browser.wrong.forEach((what) => console.error(`  ${what}`));
    process.exit(1);
  }
  console.log(`all well; screenshots are in ${out}`);
}
