// The story as people live it: /investigate, verdict, a stranger's refusal, approval, recovery.

import { check, run } from './browser.mjs';

const SERVICE = 'demo-checkout-service';
const VERDICT_WITHIN = 90_000;
const RECOVERY_WITHIN = 6 * 60_000;

const RESULT = '#replies [data-event="incident_result"]';
const RECOVERY = '#replies [data-event="incident_recovery"]';

async function become(page, name) {
  const person = page.locator('.person', { hasText: name });
  const id = await person.locator('input').getAttribute('value');
  await person.click();
  await page.locator(`body[data-you="${id}"]`).waitFor();
}

async function type(page, text) {
  await page.locator('#compose-text').fill(text);
  await page.locator('#compose-text').press('Enter');
}

/** Opens thread after thread until one holds what is looked for. */
async function openThreadWith(page, wanted, within) {
  const deadline = Date.now() + within;
  while (Date.now() < deadline) {
    const threads = page.locator('#messages .replies');
    for (let index = (await threads.count()) - 1; index >= 0; index -= 1) {
      await threads.nth(index).click();
      try {
        await page.locator(wanted).first().waitFor({ timeout: 4000 });
        return;
      } catch {
        // Not this one, or not yet.
      }
    }
    await page.locator('#messages .replies').first().waitFor({ timeout: 5000 }).catch(() => {});
  }
  throw new Error(`no thread holds ${wanted} within ${within / 1000} s`);
}

/** Presses a button of the thread and confirms where it asks. */
async function press(page, action) {
  await page.locator(`#replies [data-action="${action}"]`).last().click();
  const yes = page.locator('#confirm[open] [data-confirm="yes"]');
  try {
    await yes.waitFor({ timeout: 1500 });
  } catch {
    return;
  }
  await yes.click();
}

/** Scrolls the thread to the beginning of the verdict, in a window that holds its cause and its evidence. */
async function showVerdict(page) {
  await page.setViewportSize({ width: 1440, height: 1100 });
  const result = page.locator(RESULT).last();
  await result.evaluate((message) => message.scrollIntoView({ block: 'start' }));
  // Nothing is pointed at: what is offered then would cover a line.
  await page.mouse.move(0, 0);
  for (const words of ['Root cause', 'Evidence', /^E1\b/]) {
    const box = await result.getByText(words).first().boundingBox();
    check(box && box.y > 0 && box.y + box.height < 1000, `the picture shows ${words}`);
  }
}

await run(['demo'], async ({ open, picture, documented }) => {
  const page = await open({});
  await become(page, 'Mira');
  check(await page.locator('#meter-errors svg path').count() > 0, 'the service’s error rate is drawn');

  await type(page, '/investigate');
  // Either a form to fill in, or a private sentence on how to ask.
  await page.locator('#modal[open], [data-private="true"]').first().waitFor();
  await picture(page, 'story-bare-command');
  if (await page.locator('#modal[open]').count() > 0) {
    await page.keyboard.press('Escape');
    await page.locator('#modal[open]').waitFor({ state: 'hidden' });
  } else {
    await page.locator('.dismiss').first().click();
  }

  await type(page, `/investigate ${SERVICE}`);
  await openThreadWith(page, RESULT, VERDICT_WITHIN);
  const verdict = await page.locator(RESULT).last().innerText();
  check(/deploy/i.test(verdict), 'the verdict names a deployment');
  check(/db_pool_size/i.test(verdict) && /max_concurrent/i.test(verdict), 'the verdict names both keys');
  check(/9\d(\.\d)?\s?%/.test(verdict), 'the confidence is above 90 %');
  await page.locator(`${RESULT} img.chart, #replies img.chart`).first().waitFor();
  const size = page.viewportSize();
  await showVerdict(page);
  await picture(page, 'story-verdict');
  await documented(page, 'verdict');
  await page.setViewportSize(size);

  await page.locator('#replies [data-action="show_evidence"]').last().click();
  await page.locator('#modal[open], #replies [data-private="true"]').first().waitFor();
  await picture(page, 'story-evidence');
  await page.keyboard.press('Escape');

  await become(page, 'Sam');
  await openThreadWith(page, RESULT, VERDICT_WITHIN);
  await press(page, 'rollback_approve');
  await page.locator('[data-private="true"]').last().waitFor();
  const refusal = await page.locator('[data-private="true"]').last().innerText();
  check(/only visible to you/i.test(refusal), `a stranger is told privately: ${refusal.split('\n').at(-2)}`);
  check(await page.locator('#replies [data-action="rollback_approve"]').count() > 0, 'the button is still there');
  await picture(page, 'story-refused');

  await become(page, 'Alex');
  check(await page.locator('[data-private="true"]').count() === 0, 'nobody else sees the refusal');
  await openThreadWith(page, RESULT, VERDICT_WITHIN);
  await press(page, 'rollback_approve');
  await page.locator('#replies', { hasText: /approved by/i }).waitFor();
  check(await page.locator('#replies [data-action="rollback_approve"]').count() === 0, 'the button gave way to the approval');
  await picture(page, 'story-approved');

  await page.locator(RECOVERY).last().waitFor({ timeout: RECOVERY_WITHIN });
  const recovery = await page.locator(RECOVERY).last().innerText();
  check(/recovered/i.test(recovery) && !/not recovered/i.test(recovery), 'the bot says that the service recovered');
  await picture(page, 'story-recovered');

  await page.locator('[data-place="home"]').click();
  await page.locator('#home > *').first().waitFor();
  await picture(page, 'story-home');

  for (const how of [{ dark: true }, { phone: true }, { phone: true, dark: true }]) {
    const other = await open(how);
    await openThreadWith(other, RECOVERY, 30_000);
    await picture(other, `story-${how.phone ? 'phone' : 'laptop'}${how.dark ? '-dark' : ''}`);
    await other.close();
  }

  await page.locator('[data-place]').first().click();
  await page.locator('#send-orders').click();
  await page.locator('#activity', { hasText: /orders were placed/ }).waitFor({ timeout: 60_000 });
  check(true, `the orders are sent: ${await page.locator('#activity').innerText()}`);
  await page.locator('#scenario').selectOption('normal');
  await page.locator('#start-scenario').click();
  await page.locator('#scenario[data-playing="normal"]').waitFor({ timeout: 60_000 });
  check(await page.locator(RECOVERY).count() === 0, 'another story begins, without what was before');
  await picture(page, 'story-another');
});
