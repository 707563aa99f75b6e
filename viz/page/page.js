// The page's controls: time, direction, cells, search, theme; by pointer and by keyboard.

const state = {step: 0, backward: false, current: null, matches: [], match: -1};  // step: of all columns, 0: all of them
const root = document.documentElement;

drawAll();

// -- time -------------------------------------------------------------------------------------------

const starts = [0];  // range -> the columns before its own
for (const [, count] of data.ranges) starts.push(starts[starts.length - 1] + count);

/** The range that a column belongs to, and its step there. */
function placeOf(column) {
  const range = starts.findLastIndex(start => start < column);
  return {range, step: column - starts[range]};
}

const columns = [];  // number, from 1 -> the part of the picture where it stands
for (const unit of units) {
  const body = unit.drawing.panel || unit.drawing.boxes[0];
  if (unit.drawing.below || unit.step === null || unit.step < 1 || unit.step > data.ranges[unit.range][1]) continue;
  const left = unit.x + body[1], right = left + body[3], at = starts[unit.range] + unit.step, known = columns[at];
  columns[at] = known ? {left: Math.min(known.left, left), right: Math.max(known.right, right)} : {left, right};
}
const band = make(layers.band, 'rect', {class: 'band', y: 2, height: data.height - 4, rx: 10});

/** What comes after the step in focus, on the way that is walked. */
function isLater({step, range, backward}) {
  if (!state.step || step === null) return false;
  const now = placeOf(state.step);
  if (range !== now.range) return state.backward ? range < now.range : range > now.range;
  return state.backward === backward ? step > now.step : step < now.step;
}

function fade() {
  const later = new Set(units.filter(isLater));
  const loose = units.filter(unit => unit.step === null);
  for (let before = -1; before !== later.size;) {  // what has no step waits for what it comes from
    before = later.size;
    for (const unit of loose) {
      const from = wire => state.backward ? wire.end : wire.start, to = wire => state.backward ? wire.start : wire.end;
      if (unit.wires.some(wire => !wire.isTwin && to(wire) === unit && from(wire) !== unit && later.has(from(wire)))) later.add(unit);
    }
  }
  for (const unit of units) setLater(unit, later.has(unit));
  for (const wire of wires) {
    const before = wire.isLater;
    setLater(wire, later.has(wire.start) || later.has(wire.end));
    if (wire.isLater !== before) wire.element.parentNode[before ? 'append' : 'prepend'](wire.element);  // pale below
  }
  for (const found of notes) setLater(found, Boolean(found.wire) && found.wire.isLater);
}

function setLater(found, later) {
  if (found.isLater !== later) found.element.classList.toggle('later', later);
  found.isLater = later;
}

const notes = data.notes.map(n => ({element: note(within('notes', n[6], n[6] + n[8]), n), wire: wires[n[10]]}));

function setStep(step) {
  state.step = Math.min(Math.max(step, 0), data.steps);
  const place = columns[state.step];
  svg.classList.toggle('walked', Boolean(place));
  if (place) {
    band.setAttribute('x', place.left - 9);
    band.setAttribute('width', place.right - place.left + 18);
    reveal({x: place.left, w: place.right - place.left, y: view.y + 60 / view.scale, h: 0});
  }
  at('step').value = state.step;
  const now = state.step ? placeOf(state.step) : null;
  const words = now ? `${data.ranges[now.range][0]} = ${now.step} of ${data.ranges[now.range][1]}` : 'all';
  at('at').textContent = words;
  at('step').setAttribute('aria-valuetext', words);
  fade();
}

/** One step on; from all of them, to the first on the way. */
function walk(by) {
  let step = state.step || by > 0 ? state.step + by : data.steps;
  while (step > 0 && step <= data.steps && !columns[step]) step += by;  // of those left out
  if (step <= data.steps) setStep(step);
}

// -- direction and colours --------------------------------------------------------------------------

function setBackward(backward) {
  state.backward = backward;
  at(backward ? 'backward' : 'forward').checked = true;
  svg.classList.toggle('backward', backward);
  paintAll();
  fade();
}

function paint(found) {
  const numbers = data.values[found.mark], key = state.backward ? 'g' : 'v', place = numbers ? numbers[key] : undefined;
  const isPainted = place !== undefined && at('paint').checked;
  found.element.classList.toggle('painted', isPainted && place >= 0);
  found.element.classList.toggle('wrong', isPainted && place < 0);
  if (isPainted) found.element.style.setProperty('--place', `${Math.max(0, place) * 100}%`);
}

function paintAll() {
  for (const found of items) if (found.element) paint(found);
  const scale = data.scales[state.backward ? 'g' : 'v'], legend = at('scale');
  legend.hidden = !scale || !at('paint').checked;
  svg.classList.toggle('painting', !legend.hidden);
  legend.replaceChildren();
  if (!scale) return;
  const [title, low, high] = scale;
  html(legend, 'b', title);
  power(html(legend, 'span'), low);
  html(legend, 'span', '', 'bar');
  power(html(legend, 'span'), high);
  html(legend, 'span', '', 'hatched');
  html(legend, 'span', state.backward ? 'no gradient here' : 'a class, or no number here');
}

/** 1e-06 as 10⁻⁶. */
function power(parent, words) {
  const [, digits, exponent] = /^(\d+)e([-+]\d+)$/.exec(words) || [];
  parent.append(exponent ? (digits === '1' ? '10' : `${digits}·10`) : words);
  if (exponent) html(parent, 'sup', String(Number(exponent)).replace('-', MINUS));
}

// -- cells ------------------------------------------------------------------------------------------

function toggle(unit, isOpen = !unit.isOpen) {
  if (!isOpen && state.current && state.current.unit === unit && !state.current.isCell) focus(unit.cell);
  setOpen(unit, isOpen);
  for (const found of unit.items) if (found.element) paint(found);
  mark();
}

function toggleAll(isOpen) {
  for (const unit of units) if (unit.cell) {
    setOpen(unit, isOpen);
    for (const found of unit.items) if (found.element) paint(found);
  }
  if (state.current && !isShown(state.current)) stand(state.current.unit.cell);
  mark();
}

// -- focus in the picture ---------------------------------------------------------------------------

function stand(found) {
  if (state.current) state.current.element.setAttribute('tabindex', -1);
  state.current = found;
  found.element.setAttribute('tabindex', 0);
}

function focus(found) {
  stand(found);
  reveal(found);
  found.element.focus({preventScroll: true});
}

/** One box of the picture is always within reach of the Tab key. */
function keepReachable() {
  if (!state.current || !isOut(state.current)) return;
  const found = items.find(i => i.element && isShown(i) && !isOut(i));
  if (found) stand(found);
}

const middle = i => [i.x + i.w / 2, i.y + i.h / 2];
const named = i => i.mark < 0 ? null : data.marks[i.mark][0];
const same = (a, b) => a.isCell === b.isCell && named(a) === named(b) && middle(a)[1] === middle(b)[1];

const isAt = (item, {step, range}) => item.unit.step === step && item.unit.range === range;

/** The same box at another step; the nearest there where it has none. */
function beside(found, place) {
  const there = items.filter(i => isShown(i) && isAt(i, place));
  const off = i => Math.abs(middle(i)[1] - middle(found)[1]) + Math.abs(middle(i)[0] - middle(found)[0]) / 1e4;
  return there.find(i => same(i, found)) || there.sort((a, b) => off(a) - off(b))[0];
}

/** The next box of the same step, from the top. */
function below(found, by) {
  const here = items.filter(i => isShown(i) && isAt(i, found.unit));
  here.sort((a, b) => a.y - b.y || a.x - b.x);
  return here[here.indexOf(found) + by];
}

function hot(found) {
  for (const {element} of wires) element.classList.remove('hot');
  if (found) for (const {element} of found.unit.wires) element.classList.add('hot');
}

function look(found) {
  tell(found);
  hot(found);
}

const itemOf = target => {
  const element = target.closest('.box,.panel');
  return element ? element.item : null;
};

svg.addEventListener('pointerover', event => { if (!fingers.size) look(itemOf(event.target)); });
svg.addEventListener('pointerleave', () => look(null));
svg.addEventListener('focusin', event => {
  const found = itemOf(event.target);
  if (found) { stand(found); look(found); }
});
svg.addEventListener('focusout', () => look(null));
svg.addEventListener('click', event => {
  const found = itemOf(event.target);
  if (!found || travelled >= 4) return;
  if (found.isCell) { toggle(found.unit); look(found); }
});

// -- search -----------------------------------------------------------------------------------------

/** `h`, `h 3`, `h[3]`, `h⟨2,3⟩`: a name, or part of one, and positions. */
function search(words) {
  const [, name, positions] = /^\s*([^\s[⟨(]*)[\s[⟨(]*([\d,\s−-]*)[\]⟩)]*\s*$/.exec(words) || [, words, ''];
  const wanted = name.toLowerCase(), places = positions.replace(/\s/g, '').replace(/-/g, MINUS);
  const some = items.filter(i => !i.isCell && name && told(i.mark).name.toLowerCase().includes(wanted));
  const exact = some.filter(i => told(i.mark).name.toLowerCase() === wanted);
  state.matches = (exact.length ? exact : some).filter(i => !places || position(told(i.mark)) === places);
  state.matches.sort((a, b) => a.x - b.x || a.y - b.y);
  state.match = -1;
  mark();
  at('count').textContent = words.trim() ? `${state.matches.length} found` : '';
}

function mark() {
  for (const element of svg.querySelectorAll('.found,.chosen')) element.classList.remove('found', 'chosen');
  state.matches.forEach((found, k) => {
    const {element} = isShown(found) ? found : found.unit.cell;
    element.classList.add('found');
    if (k === state.match) element.classList.add('chosen');
  });
}

function next(by) {
  if (!state.matches.length) return;
  state.match = (state.match + by + state.matches.length + (state.match < 0 && by < 0)) % state.matches.length;
  const found = state.matches[state.match];
  if (found.unit.cell) toggle(found.unit, true);
  mark();
  reveal(found);
  stand(found);
  look(found);
  at('count').textContent = `${state.match + 1} of ${state.matches.length}: ${notation(told(found.mark))}`;
}

// -- theme ------------------------------------------------------------------------------------------

const prefersDark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : prefersDark.matches;
const showTheme = () => at('theme').setAttribute('aria-pressed', String(isDark()));
prefersDark.addEventListener('change', showTheme);

// -- controls ---------------------------------------------------------------------------------------

const on = (id, kind, act) => at(id).addEventListener(kind, act);
on('step', 'input', () => setStep(Number(at('step').value)));
on('forward', 'change', () => setBackward(false));
on('backward', 'change', () => setBackward(true));
on('paint', 'change', paintAll);
on('open', 'click', () => toggleAll(true));
on('close', 'click', () => toggleAll(false));
on('in', 'click', () => zoom(1.3));
on('out', 'click', () => zoom(1 / 1.3));
on('fit', 'click', fit);
on('theme', 'click', () => { root.dataset.theme = isDark() ? 'light' : 'dark'; showTheme(); });
on('find', 'input', () => search(at('find').value));
on('find', 'keydown', event => {
  if (event.key === 'Enter') { event.preventDefault(); next(event.shiftKey ? -1 : 1); }
  if (event.key === 'Escape') { at('find').value = ''; search(''); look(null); }
});

const KEYS = {
  ArrowRight: () => go(1), ArrowLeft: () => go(-1), ArrowUp: () => climb(-1), ArrowDown: () => climb(1),
  Home: () => setStep(0), End: () => setStep(data.steps),
  '+': () => zoom(1.3), '=': () => zoom(1.3), '-': () => zoom(1 / 1.3), 0: fit,
  b: () => setBackward(!state.backward), '/': () => at('find').focus(), Escape: leave,
};

/** A step on, and with it the box that is looked at. */
function go(by) {
  const held = itemOf(document.activeElement);
  walk(by);
  const found = held && state.step ? beside(held, placeOf(state.step)) : null;
  if (found) focus(found);
}

function climb(by) {
  const held = itemOf(document.activeElement), found = held && below(held, by);
  if (found) focus(found);
}

/** From a box to the cell that it is in. */
function leave() {
  const held = itemOf(document.activeElement);
  if (held && held.unit.cell && held !== held.unit.cell) focus(held.unit.cell);
  else look(null);
}

document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !event.target.closest) return;
  const field = event.target.closest('input:not([type=checkbox])');
  if (field && !(field.type === 'radio' && /^Arrow(Left|Right)$/.test(event.key))) return;
  const held = itemOf(event.target);
  if (held && (event.key === 'Enter' || event.key === ' ')) {
    event.preventDefault();
    if (held.unit.cell) { toggle(held.unit); look(held.isCell ? held : held.unit.cell); }
    return;
  }
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) { event.preventDefault(); act(); }
});

// -- at first ---------------------------------------------------------------------------------------

const FEW = 40;  // cells that are open at first
svg.classList.toggle('twins', data.twins);
const cells = units.filter(unit => unit.cell).length;
if (cells <= FEW) toggleAll(true);
for (const element of document.querySelectorAll('.of-steps')) element.hidden = !data.steps;
for (const element of document.querySelectorAll('.of-cells')) element.hidden = !cells;
at('painting').hidden = !data.scales.v && !data.scales.g;
const first = items.find(i => isShown(i) && i.element);
if (first) stand(first);
showTheme();
start();
setBackward(false);
setStep(0);
root.dataset.ready = '';
