// A Segmentation in OHIF: prompt, list of segments, overlay of each, and the control with everything switched off.
import { cy, norm, overlayText, panelTab, picture, sleep, stats, until } from './page.mjs';

const MOST = 16;                     // of more segments a sample is visited
const COLOUR_TOLERANCE = 30;         // of 255, for the swatch beside a label
const rgbOf = c => { const v = (c?.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number); return v.length === 3 ? v : null; };
const names = (title, label) => title === label || title.endsWith(label);
const FAILED = /not yet supported|failed to load; skipping|Unsupported displaySet|referencedDisplaySet|Could not (get|retrieve)/;

/** the overlay is previewed with a Yes/No prompt; "Yes" makes it a segmentation of the viewport */
async function acceptPrompt(page, o, r, shot) {
  const yes = page.locator(cy('yes-hydrate-btn'));
  const failed = () => o.errs.find(e => FAILED.test(e));
  const prompt = await until(async () => await yes.count() || (failed() ? 'failed' : 0), o.objectTimeout);
  r.prompt = !!prompt && prompt !== 'failed';
  if (!r.prompt) {
    await sleep(2000);
    await shot('no-prompt');
    r.why = failed()?.replace(/\s+at .*/s, '').slice(0, 220);
    return;
  }
  await until(async () => (await stats(page)).some(c => c.coloured > 20), 10000);
  r.preview_coloured = Math.max(0, ...(await stats(page)).map(c => c.coloured));
  await shot('prompt');
}

/** a click is lost now and then while the source images are still being read: ask again until the list is there */
async function fillList(page, o, r) {
  const rows = page.locator(cy('data-row'));
  const yes = page.locator(cy('yes-hydrate-btn'));
  const end = Date.now() + (r.prompt ? o.objectTimeout : 5000);
  while (!await rows.count() && Date.now() < end) {
    if (await yes.count()) await yes.first().click({ timeout: 3000 }).catch(() => {});
    if (await until(() => rows.count(), 6000)) break;
    if (!await yes.count()) await panelTab(page, 'panelSegmentation');
    await until(() => rows.count(), 3000);
  }
  await sleep(1500);
  return page.evaluate(() => [...document.querySelectorAll('[data-cy="data-row"]')].map(e => {
    const swatch = e.querySelector('[data-cy="data-row-colorhex"]') ?? e.querySelector('[style*="background-color"]');      // the second before 3.13
    const title = e.querySelector('[data-cy="data-row-title"]')?.innerText ?? e.innerText.replace(/^\s*\d+\s+/, '');
    return { title: title.replace(/\s+/g, ' ').trim(), colour: swatch ? getComputedStyle(swatch).backgroundColor : null };
  }));
}

function compareLists(list, wanted, r) {
  r.labels_shown = list.map(l => l.title);
  r.labels_missing = wanted.filter(w => !r.labels_shown.some(t => names(t, w.label))).map(w => w.label);
  r.labels_extra = r.labels_shown.filter(t => !wanted.some(w => names(t, w.label)));
  // the colour beside a label has to be the one recommended in the object (a shifted list shows here)
  r.colours_wrong = list.flatMap(l => {
    const seg = wanted.find(w => names(l.title, w.label)), c = rgbOf(l.colour);
    const off = seg?.rgb && c ? Math.max(...c.map((v, k) => Math.abs(v - seg.rgb[k]))) : 0;
    return off > COLOUR_TOLERANCE ? [{ label: seg.label, shown: c, recommended: seg.rgb }] : [];
  });
}

const sumOf = async page => (await stats(page)).map(c => c.sum).join();

/** the image canvas once two looks in a row are the same: a slice is drawn some time after it was asked for */
async function settled(page, unlike = null) {
  let last = null;
  await until(async () => {
    const now = await sumOf(page);
    const same = now && now === last && now !== unlike;
    last = now;
    return same;
  }, 8000);
  return { sum: last, png: await picture(page) };
}

/** go to one segment by its label and take the image with and without the overlay: what differs is the overlay */
async function visit(page, i, item, { stem, keep, shot }) {
  const row = page.locator(cy('data-row')).nth(i);
  const eye = page.locator(cy('all-segments-visibility-toggle')).first();
  await row.scrollIntoViewIfNeeded({ timeout: 3000 }).catch(() => {});
  await row.locator(cy('data-row-title')).first().click({ timeout: 3000 }).catch(() => row.click({ timeout: 3000 }).catch(() => {}));
  await sleep(1000);
  const on = await settled(page);
  const found = { label: item.title, colour: item.colour, slice: norm(await overlayText(page, 'bottom-right')) };
  await shot();
  await eye.click({ timeout: 3000 }).catch(() => {});
  const off = await settled(page, on.sum);
  await eye.click({ timeout: 3000 }).catch(() => {});
  await until(async () => await sumOf(page) !== off.sum, 8000);
  const changed = on.sum && off.sum && on.sum !== off.sum;
  found.overlay = !!changed;
  if (changed) {
    keep(`${stem}-on.png`, on.png);
    keep(`${stem}-off.png`, off.png);
    found.pictures = [`${stem}-on.png`, `${stem}-off.png`];
  }
  return found;
}

export async function showSeg(page, s, o, r, shot) {
  const wanted = s.segments ?? [];
  await acceptPrompt(page, o, r, shot);
  const list = await fillList(page, o, r);
  await shot('list');
  compareLists(list, wanted, r);
  const all = [...list.keys()];
  const indices = list.length <= MOST ? all : [0, 1, 2, 3, 4, 5].map(k => Math.round(k * (list.length - 1) / 5));
  r.segments = [];
  for (const i of indices) {
    const stem = `${s.number}-overlay-${String(i + 1).padStart(2, '0')}`;
    const found = await visit(page, i, list[i], { stem, keep: o.keep, shot: async () => { if (i % 2 === 0) await shot(`segment${i + 1}`); } });
    found.empty = wanted.find(w => names(list[i].title, w.label))?.frames === 0;
    r.segments.push(found);
  }
  judge(r, wanted);
}

function judge(r, wanted) {
  const due = r.segments.filter(x => !x.empty), seen = due.filter(x => x.overlay);
  const missing = due.length - seen.length;
  r.how = seen.length ? 'overlay' : 'none';
  const wrong = [
    r.labels_missing.length && `labels missing: ${r.labels_missing.length}`,
    r.labels_extra.length && `extra labels: ${r.labels_extra}`,
    r.colours_wrong.length && `${r.colours_wrong.length} wrong colours`,
    missing && `${missing} segments without overlay`,
  ].filter(Boolean);
  r.status = wanted.length && due.length && !wrong.length ? 'shown' : seen.length || r.preview_coloured > 30 ? 'partial' : 'not shown';
  if (r.status !== 'shown') r.why ??= wrong.join('; ');
}
