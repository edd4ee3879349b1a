// Drives VolView (Kitware). It reads DICOM SEG through dcmqi compiled to WebAssembly, so it is independent of OHIF's reader.
// It is given the T1 series (as a zip) and one SEG by URL from Orthanc's REST API (not by DICOMweb).
import path from 'node:path';
import { canvasStats } from '../lib/pixels.mjs';

export const name = 'volview';
export const dist = 'dist';
export const spa = false;
const sleep = ms => new Promise(r => setTimeout(r, ms));
// slices only: the 3D view is too slow on a software renderer
export const files = () => ({ '/harness-config.json': JSON.stringify({ layouts: { slices: [['axial', 'coronal', 'sagittal']] }, disabledViewTypes: ['3D', 'Oblique'] }) });
export const proxy = () => ({ '/series': '/series', '/instances': '/instances', '/tools': '/tools' });
export const wholeStudy = false;

const CANVAS = 'canvas';
const stats = page => page.evaluate(canvasStats, { selector: CANVAS, minChroma: 30 });

async function orthancId(o, level, tag, uid) {
  const r = await fetch(`${o.orthanc}/tools/find`, { method: 'POST', body: JSON.stringify({ Level: level, Query: { [tag]: uid } }), signal: AbortSignal.timeout(30000) });
  return (await r.json())[0];
}

export async function open(page, o, seriesUids, _n, x) {
  const urls = [`${o.url}/harness-config.json`], names = ['harness-config.json'];
  for (const u of seriesUids.filter(u => u !== x?.uid)) {
    const s = o.series.find(y => y.uid === u);
    if (!s || s.kind !== 'IMAGE') continue;
    urls.push(`${o.url}/series/${await orthancId(o, 'Series', 'SeriesInstanceUID', u)}/archive`);
    names.push('source.zip');
  }
  if (x) { urls.push(`${o.url}/instances/${await orthancId(o, 'Instance', 'SOPInstanceUID', x.sop)}/file`); names.push('result.dcm'); }
  await page.goto(`${o.url}/?urls=[${urls.join(',')}]&names=[${names.join(',')}]`, { timeout: 60000, waitUntil: 'domcontentloaded' });
  const end = Date.now() + o.loadTimeout;
  while (Date.now() < end) { if ((await stats(page).catch(() => [])).some(c => c.lit > 0.02 || c.coloured > 30)) break; await sleep(500); }
}
export const panel = page => page.evaluate(() => [...document.querySelectorAll('.volume-card,.patient-study-volumes-grid .v-card')].map(e => ({ text: e.innerText.replace(/\s*\n\s*/g, ' | ') })));

export async function show(page, s, o, shot) {
  const r = { uid: s.uid, kind: s.kind, number: s.number, description: s.description };
  if (s.kind !== 'SEG') return { ...r, status: 'not shown', how: 'none', why: 'VolView is only driven for SEG' };
  const end = Date.now() + o.objectTimeout;
  let err = null;
  while (Date.now() < end) {
    if ((await stats(page)).some(c => c.coloured > 100)) break;
    err = await page.evaluate(() => document.querySelector('.v-alert, .Vue-Toastification__toast--error')?.innerText ?? null);
    if (err) break;
    await sleep(500);
  }
  await sleep(2000);
  await shot('overlay');
  r.message = err;
  // the side panel's "Annotations" tab holds the segment groups and their segments
  await page.locator('.v-tab').filter({ hasText: 'Annotations' }).first().click({ timeout: 5000 }).catch(() => {});
  await page.locator('.v-tab').filter({ hasText: 'Segment Groups' }).first().click({ timeout: 3000 }).catch(() => {});
  await sleep(1000);
  // selecting the group lists its segments
  await page.locator('.segment-group-list').getByText(s.description, { exact: false }).first().click({ timeout: 5000 }).catch(() => {});
  await sleep(1500);
  const text = await page.evaluate(() => document.body.innerText);
  const want = (s.segments ?? []).map(x => x.label);
  r.labels_shown = want.filter(w => text.includes(w) || text.includes(w.slice(0, 12)));
  if (!r.labels_shown.length) {          // labels can be shown as tooltips only
    const tips = await page.evaluate(() => [...document.querySelectorAll('[title],[aria-label]')].map(e => e.title || e.getAttribute('aria-label')).join('\n'));
    r.labels_shown = want.filter(w => tips.includes(w));
  }
  r.labels_missing = want.filter(w => !r.labels_shown.includes(w));
  await shot('panel');
  const st = await stats(page);
  r.coloured_on = Math.max(0, ...st.map(c => c.coloured));
  r.views_with_colour = st.filter(c => c.coloured > 30).length;
  r.how = r.coloured_on > 30 ? 'overlay' : 'none';
  r.status = r.coloured_on > 30 ? (r.labels_missing.length ? 'partial' : 'shown') : 'not shown';
  return r;
}
export const screenshotName = (s, what) => path.normalize(`${String(s.number).padStart(3, '0')}-${s.kind}-${what}.png`);
