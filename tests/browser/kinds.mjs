// Everything that the bot says, on the page, in four looks: to be looked at. And markup in messages that must stay text.

import { check, run } from './browser.mjs';

/** The forms behind the first result's buttons, and a word that each shows. */
const FORMS = {
  show_evidence: 'Hypotheses',
  show_plan: 'What stays wrong',
  rollback_reject: 'Why not',
  rollback_break_glass: 'Why alone',
  feedback_other: 'What was it?',
};

await run([], async ({ open, picture }) => {
  /** Pictures of a list from its top to its end, as many as it takes on a high screen. */
  async function all(page, name, list) {
    const size = page.viewportSize();
    await page.setViewportSize({ width: size.width, height: 2600 });
    const [whole, shown] = await list.evaluate((one) => [one.scrollHeight, one.clientHeight]);
    for (let number = 0; number * shown < whole; number += 1) {
      await list.evaluate((one, top) => { one.scrollTop = top; }, number * shown);
      await picture(page, `${name}-${number + 1}`);
    }
    await page.setViewportSize(size);
  }

  for (const phone of [false, true]) {
    for (const dark of [false, true]) {
      const name = `kinds-${phone ? 'phone' : 'laptop'}-${dark ? 'dark' : 'light'}`;
      const page = await open({ phone, dark });
      const fits = async (what) => {
        const narrow = await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
        check(narrow, `${name}: ${what} does not scroll sideways`);
      };
      await page.locator('.message').first().waitFor();
      await all(page, `${name}-channel`, page.locator('#messages'));
      await fits('the channel');

      const threads = page.locator('#messages .replies');
      const causes = await threads.count();
      check(causes === 9, `a thread for each cause: ${causes}`);
      for (let number = causes - 1; number >= 0; number -= 1) {
        await threads.nth(number).click();
        await page.locator('#replies .message', { hasText: `INC-${7 + number}` }).first().waitFor();
        if (number === 0) {
          // The chart is loaded once it comes into sight.
          const chart = page.locator('#replies img.chart');
          await chart.evaluate((image) => image.scrollIntoView());
          await chart.waitFor();
        }
        await all(page, `${name}-thread-${number + 1}`, page.locator('#replies'));
        await fits(`thread ${number + 1}`);
        if (number > 0) await page.locator('#thread-close').click();
      }

      await page.locator('#replies [data-action="rollback_approve"]').first().click();
      await page.locator('#confirm[open]').waitFor();
      await picture(page, `${name}-confirm`);
      await page.keyboard.press('Escape');
      for (const [action, word] of Object.entries(FORMS)) {
        await page.locator(`#replies [data-action="${action}"]`).first().click();
        await page.locator('#modal[open]', { hasText: word }).waitFor();
        await picture(page, `${name}-${action}`);
        await page.keyboard.press('Escape');
        await page.locator('#modal[open]').waitFor({ state: 'hidden' });
      }
      await page.locator('#thread-close').click();

      await page.locator('#compose-text').fill('/inv');
      await page.locator('#compose-options [role=option]').waitFor();
      await page.locator('#compose-text').press('Tab');
      check(await page.locator('#compose-text').inputValue() === '/investigate ', 'the command is completed');
      await page.locator('#compose-text').press('Enter');
      await page.locator('#modal[open]').waitFor();
      const search = page.locator('#modal input[role=combobox]');
      await search.fill('che');
      await page.locator('#modal [role=option]').first().waitFor();
      await search.press('ArrowDown');
      await search.press('Enter');
      await page.locator('#modal button[type=submit]').click();
      await page.locator('#modal .error:not([hidden])').first().waitFor();
      await picture(page, `${name}-investigate`);
      await page.keyboard.press('Escape');
      await page.locator('#modal[open]').waitFor({ state: 'hidden' });
      await page.locator('[data-place="home"]').click();
      await page.locator('#home .block').first().waitFor();
      await all(page, `${name}-home`, page.locator('#home'));
      await fits('App Home');
    }
  }

  const keys = await open({});
  await keys.locator('#messages').focus();
  await keys.keyboard.press('ArrowDown');
  await keys.keyboard.press('ArrowDown');
  await keys.keyboard.press('Tab');
  await keys.keyboard.press('Enter');
  await keys.locator('#thread:not([hidden])').waitFor();
  check(await keys.locator('#replies .message').count() > 2, 'the second message’s thread opens by keyboard');

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
