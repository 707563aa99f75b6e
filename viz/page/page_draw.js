// The picture from its tables: see page_data.py for what stands where.

const data = JSON.parse(document.getElementById('data').textContent);
const at = id => document.getElementById(id);
const svg = at('picture');

function make(parent, tag, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const name in attributes) element.setAttribute(name, attributes[name]);
  if (parent) parent.appendChild(element);
  return element;
}

// What has no number where others are coloured by theirs.
const hatched = make(svg, 'pattern', {id: 'hatched', width: 6, height: 6, patternUnits: 'userSpaceOnUse',
                                      patternTransform: 'rotate(45)'});
make(hatched, 'rect', {width: 6, height: 6, class: 'hatched'});
make(hatched, 'path', {d: 'M0 0V6', class: 'hatching'});

const layer = name => make(svg, 'g', {class: name});
const layers = {band: layer('bands'), cells: layer('cells'), wires: layer('wires'), boxes: layer('boxes'),
                notes: layer('notes')};

// A long picture is drawn in stretches, of which the browser lays out only those in the window.
const STRETCH = 1600, ASIDE = 400;
const stretches = new Map();

/** The stretch of a layer for what reaches from left to right; for what is longer, none: it is always there. */
function stretch(name, left, right) {
  if (right - left > STRETCH) return null;
  const key = `${name} ${Math.floor(left / STRETCH)}`;
  const found = stretches.get(key) || {element: make(layers[name], 'g', {class: 'stretch'}), left, right, isOut: false};
  found.left = Math.min(found.left, left - ASIDE);
  found.right = Math.max(found.right, right + ASIDE);
  stretches.set(key, found);
  return found;
}

const within = (name, left, right) => (stretch(name, left, right) || {element: layers[name]}).element;

/** Lay out what can be seen between left and right. */
function cull(left, right) {
  for (const found of stretches.values()) {
    const isOut = found.right < left || found.left > right;
    if (isOut !== found.isOut) found.element.setAttribute('display', isOut ? 'none' : 'inline');
    found.isOut = isOut;
  }
}

/** Spans are text, or [text, slanted?, size, rise, colour]. */
function write(parent, label, x, y, size, ink, anchor) {
  const text = make(parent, 'text', {x, y, 'font-size': size, 'text-anchor': anchor, class: 'k' + ink});
  let raised = 0;
  for (const span of data.labels[label]) {
    const [words, slanted, scale, rise, colour] = Array.isArray(span) ? span : [span, 0, 1, 0, ''];
    if (!Array.isArray(span) && !raised) { text.append(words); continue; }
    const piece = make(text, 'tspan', {});
    if (rise !== raised) piece.setAttribute('dy', ((raised - rise) * size).toFixed(2));
    if (slanted) piece.setAttribute('font-style', 'italic');
    if (scale !== 1) piece.setAttribute('font-size', (size * scale).toFixed(2));
    if (colour) piece.style.fill = colour;
    piece.textContent = words;
    raised = rise;
  }
  return text;
}

/** A label as HTML. */
function spell(parent, label) {
  for (const span of data.labels[label]) {
    const [words, slanted, , rise] = Array.isArray(span) ? span : [span, 0, 1, 0];
    const piece = document.createElement(rise > 0 ? 'sup' : rise < 0 ? 'sub' : slanted ? 'i' : 'span');
    piece.textContent = words;
    parent.appendChild(piece);
  }
}

/** Wires of one look: forward, and back where a gradient flows. Built once, then copied. */
const lines = data.lines.map(([kind, dashed, width, colour, run, tip, backRun, backTip, phase]) => {
  const group = make(null, 'g', {class: `wire l-${kind}${dashed ? ' dashed' : ''}${backRun ? ' flows ' : ' '}${colour}`});
  for (const [d, name] of [[run, 'run ahead'], [tip, 'tip ahead'], [backRun, 'run back'], [backTip, 'tip back']])
    if (d) make(group, 'path', {class: name, d});
  if (width) group.style.strokeWidth = width;
  if (phase) group.style.strokeDashoffset = phase;
  return group;
});

function line(parent, number, x, y) {
  const group = parent.appendChild(lines[number].cloneNode(true));
  if (x || y) group.setAttribute('transform', `translate(${x} ${y})`);
  return group;
}

function frame(parent, [round, x, y, w, h, corner, kind, , , fill]) {
  if (data.kinds[kind] === 'none') return null;
  const element = round ? make(parent, 'circle', {cx: x + w / 2, cy: y + h / 2, r: w / 2})
    : make(parent, 'rect', {x, y, width: w, height: h, rx: corner});
  element.setAttribute('class', 'frame s-' + data.kinds[kind]);
  if (fill) { element.style.fill = fill; parent.classList.add('own'); }
  return element;
}

function note(parent, [label, x, y, size, ink, anchor, left, top, w, h]) {
  const group = make(parent, 'g', {class: 'note'});
  make(group, 'rect', {x: left, y: top, width: w, height: h, class: 'plate'});
  write(group, label, x, y, size, ink, anchor);
  return group;
}

// -- what is in the picture -------------------------------------------------------------------------

const items = [];  // what can be looked at: boxes with a quantity, and cells
const units = data.units.map(([drawing, written, x, y, marks, step, range, backward, speaker]) => {
  const isAfter = step !== null && step > data.ranges[range][1];
  const unit = {drawing: data.drawings[drawing], labels: data.written[written], x, y, step, range, marks,
                backward: Boolean(backward) || isAfter, isOpen: false, items: [], wires: []};
  const panel = unit.drawing.panel;
  if (panel) unit.cell = item(unit, panel, speaker, true);
  let k = 0;
  for (const box of unit.drawing.boxes) if (box[8]) unit.items.push(item(unit, box, marks[k++], false));
  return unit;
});

function item(unit, [, x, y, w, h], mark, isCell) {
  const found = {unit, mark, isCell, x: unit.x + x, y: unit.y + y, w, h, element: null};
  items.push(found);
  return found;
}

/** Can it be seen: does it stand alone, or in an open cell? */
const isShown = i => i.isCell || !i.unit.cell || i.unit.isOpen;
const isOut = i => Boolean(i.unit.stretch) && i.unit.stretch.isOut;

function placed(name, unit) {
  const {drawing: {panel, boxes}} = unit, [, x, , w] = panel || boxes[0];
  unit.left = unit.x + x;
  unit.right = unit.left + w;
  unit.stretch = stretch(name, unit.left, unit.right);
  const parent = unit.stretch ? unit.stretch.element : layers[name];
  return make(parent, 'g', {class: 'unit', transform: `translate(${unit.x} ${unit.y})`});
}

/** Boxes with their labels; what shows a quantity can be looked at. */
function drawBoxes(parent, unit) {
  let word = 0, k = 0;
  for (const box of unit.drawing.boxes) {
    const group = make(parent, 'g', box[8] ? {class: 'box', role: 'img', tabindex: -1} : {class: 'plain'});
    frame(group, box);
    for (const [x, y, size, ink, anchor] of box[7]) write(group, unit.labels[word++], x, y, size, ink, anchor);
    if (box[8]) adopt(unit.items[k++], group);
  }
}

function adopt(found, group) {
  found.element = group;
  group.item = found;
  group.setAttribute('aria-label', spoken(found));
}

function drawCell(unit) {
  const {panel, shut} = unit.drawing;
  const [, ways, feet, x, y, size, ink] = shut;
  unit.element = placed('cells', unit);
  const group = make(unit.element, 'g', {class: 'panel', role: 'button', tabindex: -1});
  unit.frame = frame(group, panel);
  let word = unit.drawing.boxes.reduce((sum, box) => sum + box[7].length, 0);
  for (const [tx, ty, tsize, tink, anchor] of panel[7])
    write(group, unit.labels[word++], tx, ty, tsize, tink, anchor).classList.add('title');
  unit.shut = make(unit.element, 'g', {class: 'shut'});
  for (const number of [...ways, ...feet]) line(unit.shut, number);
  write(unit.shut, unit.labels[word], x, y, size, ink, 'middle');
  unit.afterTitle = word + 1;
  adopt(unit.cell, group);
  showCell(unit);
}

/** The inside is drawn when it is first looked at. */
function drawInside(unit) {
  unit.inside = make(unit.element, 'g', {class: 'inside'});
  for (const number of unit.drawing.lines) line(unit.inside, number);
  drawBoxes(unit.inside, unit);
  unit.drawing.notes.forEach((n, k) => note(unit.inside, [unit.labels[unit.afterTitle + k], ...n.slice(1)]));
}

function showCell(unit) {
  const kind = unit.isOpen ? unit.drawing.panel[6] : unit.drawing.shut[0];
  unit.frame.setAttribute('class', 'frame s-' + data.kinds[kind]);
  unit.element.classList.toggle('open', unit.isOpen);
  unit.cell.element.setAttribute('aria-expanded', String(unit.isOpen));
}

function setOpen(unit, isOpen) {
  if (!unit.cell || unit.isOpen === isOpen) return;
  unit.isOpen = isOpen;
  if (isOpen && !unit.inside) drawInside(unit);
  showCell(unit);
}

const wires = [];
function drawAll() {
  for (const unit of units) {
    if (unit.cell) drawCell(unit);
    else { unit.element = placed(unit.drawing.below ? 'cells' : 'boxes', unit); drawBoxes(unit.element, unit); }
  }
  for (const [number, x, y, first, last] of data.wires) {
    const start = units[first], end = units[last];
    const left = Math.min(x, ...[start, end].map(u => u ? u.left : x));
    const right = Math.max(x, ...[start, end].map(u => u ? u.right : x));
    const wire = {element: line(within('wires', left, right), number, x, y), start, end, isLater: false,
                  isTwin: data.lines[number][0] === 'gradient'};
    wires.push(wire);
    for (const unit of new Set([wire.start, wire.end])) if (unit) unit.wires.push(wire);
  }
}
