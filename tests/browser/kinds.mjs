// Every kind of message on the page, in four looks; and markup in messages that must stay text.

import { check, run } from './browser.mjs';

await run([], async ({ open, picture }) => {
  for (const phone of [false, true]) {
    for (const dark of [false, true]) {
      const name = `kinds-${phone ? 'phone' : 'laptop'}-${dark ? 'dark' : 'light'}`;
      const page = await open({ phone, dark });
      await page.locator('.message').first().waitFor();
      await picture(page, `${name}-end`);
      await page.locator('#messages').evaluate((list) => { list.scrollTop = 0; });
      await picture(page, `${name}-alerts`);
      await page.locator('#messages .replies').first().click();
      await page.locator('#replies img.chart').waitFor();
      await picture(page, `${name}-thread`);
      await page.locator('#replies [data-action="rollback_approve"]').click();
      await page.locator('#confirm[open]').waitFor();
      await picture(page, `${name}-confirm`);
      await page.keyboard.press('Escape');
      await page.locator('#thread-close').click();

      await page.locator('#compose-text').fill('/inv');
      await page.locator('#compose-options [role=option]').waitFor();
      await page.locator('#compose-text').press('Tab');
      check(await page.locator('#compose-text').inputValue() === '/investigate ', 'the command is completed');
      await page.locator('#compose-text').press('Enter');
      await page.locator('#modal[open]').waitFor();
      const search = page.locator('#modal input[role=combobox]');
      await search.fill('de');
      await page.locator('#modal [role=option]').first().waitFor();
      await search.press('ArrowDown');
      await search.press('Enter');
      await page.locator('#modal button[type=submit]').click();
      await page.locator('#modal .error:not([hidden])').waitFor();
      await picture(page, `${name}-modal`);
      await page.keyboard.press('Escape');
      await page.locator('#modal[open]').waitFor({ state: 'hidden' });
      await page.locator('[data-place="home"]').click();
      await page.locator('#home .block').first().waitFor();
      await picture(page, `${name}-home`);
      const narrow = await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
      check(narrow, `${name} does not scroll sideways`);
    }
  }

  const keys = await open({});
  await keys.locator('#messages').focus();
  await keys.keyboard.press('ArrowDown');
  await keys.keyboard.press('ArrowDown');
  await keys.keyboard.press('Tab');
  await keys.keyboard.press('Enter');
  await keys.locator('#thread:not([hidden])').waitFor();
  check(await keys.locator('#replies .message').count() === 3, 'the second message’s thread opens by keyboard');

  const page = await open({});
  const markup = '<img src=x onerror="document.title=`gone`"> <script>document.title="gone"</script> *<b>bold</b>* `<i>`';
  await page.locator('#compose-text').fill(markup);
  await page.locator('#compose-text').press('Enter');
  const message = page.locator('#messages .message', { hasText: 'onerror' }).last();
  await message.waitFor();
  check((await message.innerText()).includes('<script>document.title="gone"</script>'), 'markup is shown as it was typed');
  check(await message.locator('img, script').count() === 0, 'and is no markup');
  check(!(await page.title()).includes('gone'), 'and did not run');
});
