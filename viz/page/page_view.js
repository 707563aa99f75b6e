// Zoom and pan: which part of the picture the window shows.

const READABLE = 0.45, FAR = 0.14, MOST = 8, MARGIN = 16;
const view = {x: 0, y: 0, scale: 1};

const stage = () => svg.getBoundingClientRect();
const whole = () => Math.min((stage().width - 2 * MARGIN) / data.width, (stage().height - 2 * MARGIN) / data.height);

function show() {
  const {width, height} = stage(), {scale} = view;
  const across = width / scale, down = height / scale;
  const kept = (from, room, size) => size <= room ? (size - room) / 2
    : Math.min(Math.max(from, -room / 2), size - room / 2);
  view.x = kept(view.x, across, data.width);
  view.y = kept(view.y, down, data.height);
  svg.setAttribute('viewBox', `${view.x.toFixed(2)} ${view.y.toFixed(2)} ${across.toFixed(2)} ${down.toFixed(2)}`);
  svg.classList.toggle('far', scale < FAR);  // too small for words
  cull(view.x, view.x + across);
  keepReachable();
}

/** Zoom around a point of the window. */
function zoom(factor, px = stage().width / 2, py = stage().height / 2) {
  const least = Math.min(whole(), 1) / 1.5;
  const scale = Math.min(MOST, Math.max(least, view.scale * factor));
  view.x += px / view.scale - px / scale;
  view.y += py / view.scale - py / scale;
  view.scale = scale;
  show();
}

function fit() {
  view.scale = Math.min(whole(), 1.6);
  show();
}

/** At first all of it, or where that would be too small to read, its left end. */
function start() {
  fit();
  if (view.scale >= READABLE) return;
  view.scale = Math.max(READABLE, Math.min(1, (stage().height - 2 * MARGIN) / data.height));
  view.x = -MARGIN / view.scale;
  view.y = -MARGIN / view.scale;
  show();
}

/** Move just as far as is needed to see a box. */
function reveal({x, y, w, h}) {
  const {width, height} = stage(), room = 40 / view.scale;
  const moved = (from, span, low, high, size) => {
    if (low - room >= from && high + room <= from + span) return from;
    const edge = MARGIN / view.scale, last = size + edge - span;
    return last < -edge ? from : Math.min(Math.max((low + high - span) / 2, -edge), last);
  };
  const nx = moved(view.x, width / view.scale, x, x + w, data.width);
  const ny = moved(view.y, height / view.scale, y, y + h, data.height);
  if (nx !== view.x || ny !== view.y) { view.x = nx; view.y = ny; show(); }
}

svg.addEventListener('wheel', event => {
  event.preventDefault();
  const box = stage();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX - box.left, event.clientY - box.top);
}, {passive: false});

const fingers = new Map();
let travelled = 0;
svg.addEventListener('pointerdown', event => {
  if (event.button) return;
  if (!fingers.size) travelled = 0;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
});
window.addEventListener('pointermove', event => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX, event.clientY];
  const dx = now[0] - before[0], dy = now[1] - before[1];
  travelled += Math.hypot(dx, dy);
  if (travelled < 4) return;
  svg.classList.add('dragged');
  const other = [...fingers].find(([id]) => id !== event.pointerId);
  if (other) {
    const apart = p => Math.hypot(p[0] - other[1][0], p[1] - other[1][1]) || 1;
    const box = stage();
    zoom(apart(now) / apart(before), other[1][0] - box.left, other[1][1] - box.top);
  } else {
    view.x -= dx / view.scale;
    view.y -= dy / view.scale;
    show();
  }
  fingers.set(event.pointerId, now);
});
for (const end of ['pointerup', 'pointercancel']) window.addEventListener(end, event => {
  fingers.delete(event.pointerId);
  if (!fingers.size) svg.classList.remove('dragged');
});

const shut = [];
window.addEventListener('beforeprint', () => {
  shut.push(...units.filter(unit => unit.cell && !unit.isOpen));
  for (const unit of shut) setOpen(unit, true);
  svg.setAttribute('viewBox', `0 0 ${data.width} ${data.height}`);
  svg.classList.remove('far');
});
window.addEventListener('afterprint', () => {
  for (const unit of shut.splice(0)) setOpen(unit, false);
  show();
});
window.addEventListener('resize', show);
