// Run inside the page: what is drawn on the viewer's image canvases (DOM and SVG overlays are not part of them).

/** per canvas: share of lit pixels, number of coloured ones, how many of these are of one hue, and a sum over all that tells one picture from another */
export function canvasStats({ selector, minChroma }) {
  const found = [];
  for (const canvas of document.querySelectorAll(selector)) {
    if (!canvas.width || !canvas.height || canvas.getBoundingClientRect().width < 50) continue;
    const copy = document.createElement('canvas');
    copy.width = canvas.width;
    copy.height = canvas.height;
    const context = copy.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    const d = context.getImageData(0, 0, copy.width, copy.height).data;
    let lit = 0, coloured = 0, sum = 0;
    const hues = new Array(12).fill(0);
    for (let i = 0; i < d.length; i += 4) {
      const brightest = Math.max(d[i], d[i + 1], d[i + 2]);
      sum = (sum * 31 + d[i] + 256 * d[i + 1] + 65536 * d[i + 2]) >>> 0;
      if (brightest > 12) lit++;
      const chroma = brightest - Math.min(d[i], d[i + 1], d[i + 2]);
      if (chroma < minChroma) continue;
      coloured++;
      const [r, g, b] = [d[i], d[i + 1], d[i + 2]];
      const sixth = brightest === r ? ((g - b) / chroma + 6) % 6 : brightest === g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
      hues[Math.round(sixth * 2) % 12]++;
    }
    found.push({ width: copy.width, height: copy.height, lit: lit / (copy.width * copy.height), coloured, sum, one_hue: coloured ? Math.max(...hues) / coloured : 0 });
  }
  return found;
}

/** the largest canvas as a PNG data URL */
export function canvasPicture({ selector }) {
  const canvases = [...document.querySelectorAll(selector)].filter(c => c.width && c.height && c.getBoundingClientRect().width >= 50);
  const largest = canvases.sort((a, b) => b.width * b.height - a.width * a.height)[0];
  if (!largest) return null;
  const copy = document.createElement('canvas');
  copy.width = largest.width;
  copy.height = largest.height;
  copy.getContext('2d').drawImage(largest, 0, 0);
  return copy.toDataURL('image/png');
}
