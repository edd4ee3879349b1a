// Secondary Capture, Parametric Map and Encapsulated PDF in OHIF.
import { cy, norm, overlayText, sleep, stats, until } from './page.mjs';

const WAIT_MS = { PM: 6000, PDF: 4000 };
const EMBEDDED = ['object', 'iframe', 'embed'].map(tag => `${cy('viewport-pane')} ${tag}`).join(', ');

export async function showImage(page, s, o, r, shot) {
  if (s.kind !== 'PDF') await until(async () => (await stats(page)).some(c => c.lit > 0.02), o.objectTimeout);
  await sleep(WAIT_MS[s.kind] ?? 2000);
  const st = await stats(page);
  r.coloured = Math.max(0, ...st.map(c => c.coloured));
  r.lit = Math.max(0, ...st.map(c => c.lit));
  r.overlay_text = norm(await overlayText(page, 'top-left'));
  await shot('image');
  if (s.kind === 'PDF') {
    r.embedded = await page.evaluate(q => [...document.querySelectorAll(q)].map(e => (e.data || e.src || '').slice(0, 80)), EMBEDDED);
    r.status = r.embedded.length ? 'shown' : 'not shown';
  } else if (s.kind === 'PM') {
    r.still_loading = await page.getByText('Loading Parametric Map').count() > 0;
    const complaint = o.errs.find(x => /Only works with 32 bit|TargetBuffer/.test(x));
    r.one_hue = Math.max(0, ...st.map(c => c.one_hue));
    const flat = r.one_hue > 0.9;
    r.status = r.still_loading || r.coloured < 200 ? 'not shown' : complaint || flat ? 'partial' : 'shown';
    if (complaint) r.why = complaint.split('\n')[0].slice(0, 160);
    else if (flat) r.why = 'the map is of one colour throughout';
  } else {
    r.status = r.lit > 0.02 ? 'shown' : 'not shown';
    for (let page_no = 2; page_no <= Math.min(s.instances, 4); page_no++) {        // the next pages of a summary
      await page.locator(cy('viewport-pane')).first().hover({ timeout: 3000 }).catch(() => {});
      await page.mouse.wheel(0, 120);
      await sleep(1500);
      await shot(`image${page_no}`);
    }
  }
  r.how = r.status === 'not shown' ? 'none' : 'image';
}
