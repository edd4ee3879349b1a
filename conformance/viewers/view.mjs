#!/usr/bin/env node
// usage: node view.mjs STUDY_UID ORTHANC_URL OUT_DIR [--viewer ohif] [--mode viewer] [--series UID,UID] [--need SEG,SR]
//        [--kinds SEG,SR,PM,SC,PDF] [--session filtered|fresh|same] [--timeout S] [--dicomweb /dicom-web]
//        [--source-config JSON] [--app-config JSON]   (merged into OHIF's data source / app configuration)
// exit: 0 everything needed is shown; 1 something needed is not shown; 2 the harness could not do its work
process.env.PW_TEST_SCREENSHOT_NO_FONTS_READY = '1';            // web fonts from outside never arrive here
const { chromium } = await import('playwright-core');
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from './lib/server.mjs';
import { describeStudy } from './lib/dicomweb.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const pos = [], opt = { viewer: 'ohif', mode: 'viewer', need: 'SEG,SR', kinds: 'SEG,SR,PM,SC,PDF', session: 'filtered', timeout: '900', dicomweb: '/dicom-web', chromium: process.env.CHROMIUM || '/usr/bin/chromium' };
for (let i = 2; i < process.argv.length; i++) {
  const a = process.argv[i];
  if (a.startsWith('--')) opt[a.slice(2)] = process.argv[++i]; else pos.push(a);
}
opt.sourceConfig = JSON.parse(opt['source-config'] || '{}'); opt.appConfig = JSON.parse(opt['app-config'] || '{}');
const [study, orthanc, outDir] = pos;
const die = m => { console.error(m); process.exit(2); };
if (!outDir) die('usage: node view.mjs STUDY_UID ORTHANC_URL OUT_DIR [options]');
if (!existsSync(opt.chromium)) die(`no browser at ${opt.chromium} (set CHROMIUM or --chromium)`);
const root = path.join(here, 'viewers', opt.viewer);
if (!existsSync(path.join(root, '.installed'))) die(`viewer ${opt.viewer} is not installed: node install.mjs ${opt.viewer}`);
const spec = JSON.parse(readFileSync(path.join(here, 'package.json'), 'utf8')).viewers[opt.viewer];
const driver = await import(`./drivers/${spec?.driver ?? opt.viewer}.mjs`);
mkdirSync(outDir, { recursive: true });

const t0 = Date.now(), secs = () => Math.round((Date.now() - t0) / 100) / 10;
const report = { viewer: opt.viewer, viewer_version: JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).version, mode: opt.mode, session: opt.session, study, orthanc, started: new Date().toISOString() };
const write = () => writeFileSync(path.join(outDir, 'view.json'), JSON.stringify(report, null, 1));
let browser, srv;
const profile = mkdtempSync(path.join(os.tmpdir(), 'viewer-harness-'));
const stop = async code => {
  clearTimeout(dog);
  report.seconds = secs(); report.exit = code; write();
  await Promise.race([browser?.close().catch(() => {}), new Promise(r => setTimeout(r, 5000))]);
  srv?.closeAllConnections?.(); srv?.close();
  rmSync(profile, { recursive: true, force: true });
  process.exit(code);
};
const dog = setTimeout(() => { report.error = `gave up after ${opt.timeout} s`; console.error(report.error); stop(2); }, Number(opt.timeout) * 1000);
process.on('SIGTERM', () => stop(2)); process.on('SIGINT', () => stop(2));

try {
  const base = orthanc.replace(/\/$/, '') + opt.dicomweb;
  report.series = await describeStudy(base, study).catch(e => { throw new Error(`cannot read the study by DICOMweb: ${e.message}`); });
  if (!report.series.length) throw new Error('the study is not in the archive (or has no series)');
  const log = [];
  const s = await serve({ root: path.join(root, driver.dist), target: orthanc, proxy: driver.proxy({ dicomweb: opt.dicomweb }), files: driver.files(opt), spa: driver.spa !== false, log });
  srv = s.srv;
  const ctx = await chromium.launchPersistentContext(profile, {
    executablePath: opt.chromium, headless: true, viewport: { width: 1600, height: 1000 }, timeout: 60000,
    args: ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist'] });
  browser = ctx;
  report.browser = ctx.browser()?.version() ?? null;
  // nothing but the local server is to be reached
  report.outside_requests = [];
  await ctx.route('**/*', r => { const u = new URL(r.request().url()); if (u.hostname === '127.0.0.1' || /^(blob|data|chrome|chrome-extension):/.test(u.protocol)) return r.continue(); report.outside_requests.push(u.href.slice(0, 200)); return r.abort(); });
  const o = { url: s.url, orthanc: orthanc.replace(/\/$/, ''), series: report.series, study, mode: opt.mode, loadTimeout: 90000, objectTimeout: 45000,
    keep: (name, bytes) => writeFileSync(path.join(outDir, name), bytes) };

  const wantKinds = opt.kinds.split(','), need = opt.need.split(',').filter(Boolean), only = opt.series?.split(',');
  const todo = report.series.filter(x => x.kind !== 'IMAGE' && wantKinds.includes(x.kind) && (!only || only.includes(x.uid) || only.includes(x.number)));
  const images = report.series.filter(x => x.kind === 'IMAGE').map(x => x.uid);
  report.objects = [];
  const page0 = ctx.pages()[0];
  await page0?.close();

  const fresh = async (series, n, x) => {
    const page = await ctx.newPage();
    const errs = [];
    page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') errs.push(`${m.type()}: ${m.text().slice(0, 400)}`); });
    page.on('pageerror', e => errs.push(`pageerror: ${e.message.slice(0, 400)}`));
    page.on('requestfailed', q => errs.push(`requestfailed: ${q.url().slice(-160)} ${q.failure()?.errorText}`));
    page.on('dialog', d => d.dismiss().catch(() => {}));
    await driver.open(page, o, series, n, x);
    return { page, errs };
  };

  // 1. the whole study as a reader opens it: series list
  let cur = null;
  if (driver.wholeStudy !== false && !(only && opt.session === 'filtered')) {
    cur = await fresh(null, report.series.length);
    report.open_seconds = secs();
    report.panel = await driver.panel(cur.page);
    await cur.page.screenshot({ path: path.join(outDir, '000-study.png') });
    report.console_errors = [...new Set(cur.errs)];
    if (opt.session !== 'same') { await cur.page.close(); cur = null; }
  }

  // 2. each result object
  for (const x of todo) {
    const t1 = Date.now(), at = log.length;
    let r;
    try {
      if (opt.session !== 'same') {
        const list = opt.session === 'filtered' ? [...new Set([...(x.referenced_series ?? []).filter(u => report.series.some(y => y.uid === u)), ...(images.length ? [images[0]] : []), x.uid])] : null;
        cur = await fresh(list, list ? list.length : report.series.length, x);
      }
      const shots = [];
      const shot = async what => { const f = driver.screenshotName(x, what); await cur.page.screenshot({ path: path.join(outDir, f), timeout: 30000 }).then(() => shots.push(f), e => { (shots.failed ??= []).push(`${f}: ${e.message.split('\n')[0]}`); }); };
      const lim = new Promise((_, no) => setTimeout(() => no(new Error('object took over 600 s')), 600000).unref?.());
      o.errs = cur.errs;
      r = await Promise.race([driver.show(cur.page, x, o, shot), lim]);
      r.screenshots = [...shots];
      if (shots.failed) r.screenshots_failed = shots.failed;
    } catch (e) {
      r = { uid: x.uid, kind: x.kind, number: x.number, description: x.description, status: 'not shown', how: 'none', why: e.message.split('\n')[0] };
      await cur?.page.screenshot({ path: path.join(outDir, driver.screenshotName(x, 'failed')), timeout: 10000 }).catch(() => {});
    }
    r.console_errors = [...new Set(cur?.errs ?? [])].slice(0, 20);
    r.http_errors = log.slice(at).filter(l => l.status >= 400).map(l => `${l.status} ${l.url.slice(-140)}`).slice(0, 20);
    r.seconds = Math.round((Date.now() - t1) / 100) / 10;
    report.objects.push(r);
    console.log(`${r.status.padEnd(9)} ${x.kind.padEnd(3)} S:${x.number} ${x.description}  [${r.how}]  ${r.seconds} s${r.why ? '  ' + r.why : ''}`);
    write();
    if (opt.session !== 'same') { await cur?.page.close().catch(() => {}); cur = null; }
    else if (cur) cur.errs.length = 0;
  }
  const bad = report.objects.filter(r => need.includes(r.kind) && r.status !== 'shown');
  const none = need.filter(k => wantKinds.includes(k) && !only && !report.objects.some(r => r.kind === k));
  report.not_shown = bad.map(r => ({ number: r.number, kind: r.kind, description: r.description, status: r.status }));
  report.absent_kinds = none;
  report.http = { requests: log.length, errors: log.filter(l => l.status >= 400).length };
  await stop(bad.length || none.length ? 1 : 0);
} catch (e) {
  report.error = e.message;
  console.error(e.message.split('\n')[0]);
  await stop(2);
}
