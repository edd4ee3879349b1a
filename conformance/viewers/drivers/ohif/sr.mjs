// A Structured Report in OHIF: annotations stepped through with the arrows of the viewport, or a text.
import { cy, norm, notes, panelTab, sleep, stats, until } from './page.mjs';

const MOST_STEPS = 80;

/** everything that can be read now; every text box on the image with its lines and whether another one covers it */
const texts = page => page.evaluate(pane => {
  const lines = e => { const t = [...e.querySelectorAll('tspan')].map(s => s.textContent.trim()).filter(Boolean); return t.length ? t : [e.textContent.trim()]; };
  const boxes = [...document.querySelectorAll(`${pane} svg text`)].map(e => ({ lines: lines(e), rect: e.getBoundingClientRect() })).filter(b => b.lines[0]);
  const cover = (a, b) => a.left < b.right - 2 && b.left < a.right - 2 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
  return {
    boxes: boxes.map(b => ({ lines: b.lines, covered: boxes.some(c => c !== b && cover(b.rect, c.rect)) })),
    pane: [...document.querySelectorAll(pane)].map(e => e.innerText).join('\n'),
    rows: [...document.querySelectorAll('[data-cy^="measurement-table-row"],[data-cy="data-row"]')].map(e => e.innerText.replace(/\s+/g, ' ').trim()),
    badge: [...document.querySelectorAll('[data-cy^="ModalityLoadBadge"]')].map(e => e.innerText.replace(/\s+/g, ' ').trim()),
  };
}, cy('viewport-pane'));

const written = n => {
  const v = Number(n.value);
  return [...new Set([n.value, String(v), v.toFixed(2), v.toFixed(1)])].filter(Boolean).map(f => `${f} ${n.unit}`);
};

/** marks the numbers of the report that can be read in what the page shows now */
function mark(now, numbers, asText) {
  const hay = norm([now.pane, ...now.rows].join(' \n '));
  for (const n of numbers) {
    if (asText) {
      if (written(n).some(w => hay.includes(w))) n.seen = n.clear = true;
      continue;
    }
    for (const box of now.boxes) {
      // the name has to stand before the number, and the number in the box of its own group
      if (!written(n).some(w => box.lines.includes(`${n.name}: ${w}`))) continue;
      n.seen = true;
      if (!box.covered) n.clear = true;
    }
  }
}

/** press the arrow until the annotations have come round */
async function step(page, count, each) {
  const named = page.locator(cy('viewport-action-arrows-right'));      // OHIF 3.13; before that the arrows have no name
  const next = await named.count() ? named : page.locator(`${cy('viewport-pane')} div.cursor-pointer.shrink-0.text-highlight > svg`).nth(1);
  for (let i = 1; i < Math.min(count, MOST_STEPS) && await next.count(); i++) {
    await next.first().click({ timeout: 3000 }).catch(() => {});
    await sleep(700);
    await each(i);
  }
}

export async function showSr(page, s, o, r, shot) {
  const groups = s.groups ?? [];
  const numbers = groups.flatMap(g => g.nums.map(n => ({ ...n, group: g.label })));
  await until(async () => { const t = await texts(page); return t.boxes.length || t.badge.length || (s.title?.meaning && t.pane.includes(s.title.meaning)); }, 20000);
  await sleep(1500);
  await shot('first');
  const first = await texts(page);
  const asText = !!(s.title?.meaning && norm(first.pane).includes(s.title.meaning));
  const boxes = new Map();
  const look = async () => {
    const now = await texts(page);
    mark(now, numbers, asText);
    for (const b of now.boxes) boxes.set(b.lines.join(' | '), !b.covered || boxes.get(b.lines.join(' | ')) === true);
    return now;
  };
  const yes = page.locator(cy('yes-hydrate-btn'));
  r.prompt = await yes.count() ? norm((await notes(page))[0]) : null;
  const now = await look();
  if (!asText) await step(page, groups.length, async i => { await look(); if (i % 6 === 1) await shot(`step${i + 1}`); });
  r.badge = now.badge;
  r.boxes = [...boxes].map(([text, clear]) => ({ text, clear }));
  judge(r, s, numbers, asText);
  r.blank_viewport = !asText && !(await stats(page)).some(c => c.lit > 0.02);
  if (r.status === 'not shown' && r.blank_viewport) r.why = 'the viewport stays black' + (s.title?.code === '126000' && groups.some(g => !g.geometry) ? ' (TID 1500 titled 126000 with a group that has no SCOORD)' : '');
  await panelTab(page, 'trackedMeasurements');
}

function judge(r, s, numbers, asText) {
  const key = n => `${n.group} | ${n.name} | ${n.value}`;
  const own = numbers.filter(n => !n.nested);      // ranges of uncertainty hang below a number: annotations never show them
  r.values_expected = own.length;
  r.values_seen = own.filter(n => n.seen).length;
  r.values_covered = own.filter(n => n.seen && !n.clear).map(key);
  r.values_missing = own.filter(n => !n.seen).map(key);
  r.nested_expected = numbers.length - own.length;
  r.nested_seen = numbers.filter(n => n.nested && n.seen).length;
  r.how = asText ? 'text' : r.boxes.length ? 'annotations' : 'none';
  const all = own.length && r.values_seen === own.length;
  r.status = all && !r.values_covered.length ? 'shown' : r.values_seen ? 'partial' : own.length || r.how === 'none' ? 'not shown' : 'shown';
  if (r.status === 'partial') r.why = [r.values_missing.length && `${r.values_missing.length} numbers missing`, r.values_covered.length && `${r.values_covered.length} numbers covered by another text`].filter(Boolean).join('; ');
}
