// What the archive holds for a study, and what a viewer therefore ought to show.
const val = (ds, tag) => ds?.[tag]?.Value?.[0];
const str = v => (v && typeof v === 'object' ? v.Alphabetic ?? '' : v ?? '') + '';

async function getJson(url, timeout = 60000) {
  const r = await fetch(url, { headers: { Accept: 'application/dicom+json' }, signal: AbortSignal.timeout(timeout) });
  if (r.status === 204) return [];
  if (!r.ok) throw new Error(`${url}: HTTP ${r.status}`);
  return r.json();
}

export const KIND = {
  '1.2.840.10008.5.1.4.1.1.66.4': 'SEG', '1.2.840.10008.5.1.4.1.1.66.7': 'SEG', '1.2.840.10008.5.1.4.1.1.30': 'PM',
  '1.2.840.10008.5.1.4.1.1.88.11': 'SR', '1.2.840.10008.5.1.4.1.1.88.22': 'SR', '1.2.840.10008.5.1.4.1.1.88.33': 'SR', '1.2.840.10008.5.1.4.1.1.88.34': 'SR',
  '1.2.840.10008.5.1.4.1.1.7': 'SC', '1.2.840.10008.5.1.4.1.1.7.4': 'SC', '1.2.840.10008.5.1.4.1.1.104.1': 'PDF', '1.2.840.10008.5.1.4.1.1.481.3': 'RTSTRUCT',
};

/** measurement groups with their numbers; `below` is true below a number (ranges of uncertainty) */
function nums(item, group, out, below = false) {
  const type = str(val(item, '0040A040'));
  const name = str(val(val(item, '0040A043'), '00080104'));
  const code = str(val(val(item, '0040A043'), '00080100'));
  const kids = item['0040A730']?.Value ?? [];
  if (code === '125007') {                                   // Measurement Group
    const tid = kids.find(k => str(val(val(k, '0040A043'), '00080100')) === '112039');
    group = { label: str(val(tid, '0040A160')), nums: [], geometry: false, segment: false };
    out.push(group);
  }
  if (type === 'NUM' && group) {
    const mv = val(item, '0040A300');
    group.nums.push({ name, value: str(val(mv, '0040A30A')), unit: str(val(val(mv, '004008EA'), '00080100')), nested: below || undefined });
  }
  if (group && /^SCOORD/.test(type)) group.geometry = true;
  if (group && code === '121191') group.segment = true;      // Referenced Segment
  for (const k of kids) nums(k, group, out, below || type === 'NUM');
  return out;
}

/** Recommended Display CIELab Value (16 bit) to sRGB, with a D65 white: what highdicom and dcmqi write and OHIF reads (a strict D50 reading differs slightly) */
export function labToRgb(v) {
  if (!v || v.length !== 3) return null;
  const L = v[0] / 65535 * 100, a = v[1] / 65535 * 255 - 128, b = v[2] / 65535 * 255 - 128;
  const fy = (L + 16) / 116, fx = fy + a / 500, fz = fy - b / 200;
  const g = t => (t > 6 / 29 ? t ** 3 : 3 * (6 / 29) ** 2 * (t - 4 / 29));
  const X = 0.95047 * g(fx), Y = g(fy), Z = 1.08883 * g(fz);
  const lin = [3.2404542 * X - 1.5371385 * Y - 0.4985314 * Z, -0.969266 * X + 1.8760108 * Y + 0.041556 * Z, 0.0556434 * X - 0.2040259 * Y + 1.0572252 * Z];
  return lin.map(c => { const u = Math.min(1, Math.max(0, c)); return Math.round(255 * (u <= 0.0031308 ? 12.92 * u : 1.055 * u ** (1 / 2.4) - 0.055)); });
}

export async function describeStudy(base, study) {
  const rows = await getJson(`${base}/studies/${study}/series`);
  const out = [];
  for (const r of rows) {
    const uid = str(val(r, '0020000E'));
    const s = { uid, modality: str(val(r, '00080060')), number: str(val(r, '00200011')), description: str(val(r, '0008103E')) };
    const inst = await getJson(`${base}/studies/${study}/series/${uid}/instances`);
    s.instances = inst.length;
    s.sop_class = str(val(inst[0], '00080016'));
    s.kind = KIND[s.sop_class] ?? 'IMAGE';
    s.sop = str(val(inst[0], '00080018'));
    if (s.kind !== 'IMAGE' && s.kind !== 'SC') {
      const [m] = await getJson(`${base}/studies/${study}/series/${uid}/instances/${s.sop}/metadata`, 120000);
      s.number ||= str(val(m, '00200011'));
      s.description ||= str(val(m, '0008103E'));
      s.referenced_series = (m['00081115']?.Value ?? []).map(x => str(val(x, '0020000E')));
      if (s.kind === 'SEG') {
        s.segmentation_type = str(val(m, '00620001'));
        s.frames = Number(str(val(m, '00280008')));
        s.segments = (m['00620002']?.Value ?? []).map(x => ({ number: Number(str(val(x, '00620004'))), label: str(val(x, '00620005')), rgb: labToRgb(x['0062000D']?.Value) }))
          .filter(x => x.number !== 0);
        if (s.segmentation_type !== 'LABELMAP') {               // a segment may be described and have no frame: it is then empty
          const n = {};
          for (const f of m['52009230']?.Value ?? []) { const k = str(val(val(f, '0062000A'), '0062000B')); if (k) n[k] = (n[k] ?? 0) + 1; }
          const shared = str(val(val(val(m, '52009229'), '0062000A'), '0062000B'));
          for (const x of s.segments) x.frames = n[x.number] ?? (shared === String(x.number) ? s.frames : 0);
        }
        s.referenced_series_missing = !m['00081115'];
      }
      if (s.kind === 'SR') {
        s.title = { code: str(val(val(m, '0040A043'), '00080100')), meaning: str(val(val(m, '0040A043'), '00080104')) };
        s.groups = nums(m, null, []);
        s.referenced_series = (m['0040A375']?.Value ?? []).flatMap(e => e['00081115']?.Value ?? []).map(x => str(val(x, '0020000E')));
      }
    } else if (s.kind === 'SC') {
      s.referenced_series = [];
    }
    out.push(s);
  }
  out.sort((a, b) => Number(a.number) - Number(b.number));
  return out;
}
