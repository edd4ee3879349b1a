// Drives OHIF (the prebuilt dist/ of the npm package @ohif/app) as a reader would: by its buttons.
import path from 'node:path';
import { CANVAS, cy, norm, notes, overlayText, sleep, stats, until } from './ohif/page.mjs';
import { showSeg } from './ohif/seg.mjs';
import { showSr } from './ohif/sr.mjs';
import { showImage } from './ohif/image.mjs';

export const name = 'ohif';
export const dist = 'dist';
export const proxy = t => ({ '/dicom-web': t.dicomweb, '/wado': '/wado' });
export const screenshotName = (s, what) => path.normalize(`${String(s.number).padStart(3, '0')}-${s.kind}-${what}.png`);

/** the viewer's own configuration file, made here: one DICOMweb source on this same origin */
export function files(o) {
  const source = {
    friendlyName: 'Orthanc', name: 'orthanc', wadoUriRoot: '@/wado', qidoRoot: '@/dicom-web', wadoRoot: '@/dicom-web',
    qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
    supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true,
    bulkDataURI: { enabled: true }, ...o.sourceConfig,
  };
  const conf = {
    routerBasename: null, extensions: [], modes: [], customizationService: {}, showStudyList: true,
    investigationalUseDialog: { option: 'never' }, maxNumberOfWebWorkers: 2, showLoadingIndicator: true,
    strictZSpacingForVolumeViewport: true, ...o.appConfig, defaultDataSourceName: 'orthanc',
    dataSources: [{ namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'orthanc', configuration: source }],
  };
  return { '/app-config.js': `window.config = ${JSON.stringify(conf).replaceAll('"@/', 'location.origin + "/')};` };
}

const url = (o, series) =>
  `${o.url}/${o.mode}?StudyInstanceUIDs=${o.study}` + (series?.length ? `&SeriesInstanceUIDs=${series.join(',')}` : '');

export async function open(page, o, series, nThumbs) {
  await page.addInitScript(() => { localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour'])); });
  await page.goto(url(o, series), { timeout: 60000, waitUntil: 'domcontentloaded' });
  await page.waitForSelector(cy('viewport-pane'), { timeout: o.loadTimeout });
  const skip = page.getByText('Skip all', { exact: true });
  // the series panel is filled as metadata arrives: wait until the expected number is there, or it stops growing
  let last = -1, since = Date.now();
  await until(async () => {
    if (await skip.count()) await skip.first().click({ timeout: 1000 }).catch(() => {});
    const n = await page.locator('[data-cy^="study-browser-thumbnail"]').count();
    if (n !== last) { last = n; since = Date.now(); }
    return n >= nThumbs || (n > 0 && Date.now() - since > 8000);
  }, o.loadTimeout);
  await page.waitForSelector(CANVAS, { timeout: 20000 }).catch(() => {});
  await until(async () => (await stats(page)).some(c => c.lit > 0.02), 20000);
  if (await skip.count()) await skip.first().click({ timeout: 1000 }).catch(() => {});
}

export const panel = page => page.evaluate(() => [...document.querySelectorAll('[data-cy^="study-browser-thumbnail"]')].map(e => ({
  text: e.innerText.replace(/\s*\n\s*/g, ' | '),
  warning: !!e.querySelector('svg[class*="arning"],[data-cy*="warning"]'),
})));

async function openSeries(page, s) {
  const own = page.getByText(`S:${s.number}`, { exact: true });
  const thumbnail = page.locator('[data-cy^="study-browser-thumbnail"]').filter({ has: own }).first();
  if (!await thumbnail.count()) return false;
  await thumbnail.scrollIntoViewIfNeeded({ timeout: 5000 });
  await thumbnail.dblclick({ timeout: 5000 });
  return true;
}

export async function show(page, s, o, shot) {
  const r = { uid: s.uid, kind: s.kind, number: s.number, description: s.description };
  if (!await openSeries(page, s)) return { ...r, status: 'not shown', how: 'none', why: 'not in the series panel' };
  await sleep(1000);
  const showKind = { SEG: showSeg, SR: showSr }[s.kind] ?? showImage;
  await showKind(page, s, o, r, shot);
  r.notifications = [...new Set(await notes(page))];
  r.image_info = norm(await overlayText(page, 'top-left'));
  return r;
}
