// What every part of the OHIF driver asks of the page.
import { canvasStats, canvasPicture } from '../../lib/pixels.mjs';

export const CANVAS = '[data-cy="viewport-pane"] canvas';
export const cy = n => `[data-cy="${n}"]`;
export const sleep = ms => new Promise(r => setTimeout(r, ms));
export const norm = t => (t ?? '').replace(/\s+/g, ' ').trim();

/** wait until `fn` gives something true; give it back, or null after `ms` */
export async function until(fn, ms, step = 250) {
  const end = Date.now() + ms;
  for (;;) {
    const v = await fn().catch(() => null);
    if (v) return v;
    if (Date.now() > end) return null;
    await sleep(step);
  }
}

export const stats = page => page.evaluate(canvasStats, { selector: CANVAS, minChroma: 30 });

/** what the largest image canvas shows, as the bytes of a PNG (texts and outlines of the page are not part of it) */
export async function picture(page) {
  const url = await page.evaluate(canvasPicture, { selector: CANVAS });
  return url ? Buffer.from(url.split(',')[1], 'base64') : null;
}

export const overlayText = async (page, corner) =>
  (await page.locator(cy(`viewport-overlay-${corner}`)).allInnerTexts().catch(() => []))[0];

export const notes = page => page.evaluate(() => {
  const found = document.querySelectorAll('[data-sonner-toast],[role="alert"],[data-cy="viewport-notification"]');
  return [...found].map(e => e.innerText.replace(/\s+/g, ' ').trim()).filter(Boolean);
});

export async function panelTab(page, id) {
  const button = page.locator(cy(`${id}-btn`));
  if (await button.count()) await button.first().click({ timeout: 3000 }).catch(() => {});
}
