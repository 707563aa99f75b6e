// What is told of a box: in words for those who listen, and on the card beside it.

const MINUS = '\u2212', L = '\u2202L/\u2202';

const number = value => typeof value !== 'number' ? String(value).replace('-', MINUS)
  : String(Number(value.toPrecision(6))).replace('-', MINUS);

function told(mark) {
  const [which, ...positions] = data.marks[mark];
  const [name, symbol, role, indices, shape, equations] = data.quantities[which];
  return {name, symbol, role, indices, positions, shape, equations,
          numbers: data.values[mark] || null};
}

/** Positions as they stand in h⟨3⟩; an index that is left open keeps its name. */
const position = ({indices, positions}) => indices.map((i, k) => positions[k] === null ? i : positions[k]).join(',')
  .replace(/-/g, MINUS);
const notation = known => known.indices.length ? `${known.name}⟨${position(known)}⟩` : known.name;

function sizes({indices, positions, shape}) {
  const all = [...indices.filter((i, k) => positions[k] === null).map(i => i.toUpperCase()), ...shape];
  return all.length ? all.join(' × ') : 'one number';
}

/** The equation that holds at the positions: a boundary's where there is one, else the main one. */
function equation({equations, indices, positions}) {
  const holds = ([slots]) => slots.length && slots.every(([anchor, offset], k) => anchor === 'free'
    || positions[k] === (anchor === 'first' ? offset : offset + data.lengths[indices[k]]));
  const own = equations.find(holds);
  if (own) return own[1];
  const outside = positions.some((p, k) => p !== null && (p < 1 || p > data.lengths[indices[k]]));
  if (outside && equations.length) return 'zero, as no equation sets it';
  const main = equations.find(([slots]) => !slots.length);
  return main ? main[1] : '';
}

function spoken({mark, isCell, unit}) {
  if (isCell) {
    const names = [...new Set(unit.marks.map(m => told(m).name))];
    return `cell ${names.join(', ')}${unit.step === null ? '' : `, ${data.ranges[unit.range][0]} = ${unit.step}`}`;
  }
  const known = told(mark);
  return `${notation(known)}, ${known.role}, ${sizes(known)}`;
}

// -- the card ---------------------------------------------------------------------------------------

const card = at('card');

function html(parent, tag, words, name) {
  const element = document.createElement(tag);
  if (words) element.textContent = words;
  if (name) element.className = name;
  return parent.appendChild(element);
}

function heading(parent, tag, known) {
  const head = html(parent, tag);
  spell(head, known.symbol);
  if (known.indices.length) html(head, 'sup', `⟨${position(known)}⟩`);
  return head;
}

function row(list, term, words, name) {
  html(list, 'dt', term);
  html(list, 'dd', words, name);
}

function describe(known) {
  html(heading(card, 'h2', known), 'small', known.role);
  const text = equation(known), list = html(card, 'dl');
  if (text) row(list, 'equation', text, 'equation');
  row(list, 'shape', sizes(known), 'shape');
  const found = known.numbers;
  if (!found) return;
  if ('kind' in found) row(list, 'class', String(found.kind), 'kind');
  if ('rms' in found) {
    const more = found.n > found.first.length ? ', …' : '';
    row(list, 'value', found.first.map(number).join(', ') + more, 'first');
    if (found.n > 1) {
      row(list, 'RMS', number(found.rms), 'rms');
      row(list, 'min', number(found.min), 'min');
      row(list, 'max', number(found.max), 'max');
    }
  }
  if ('norm' in found) {
    const term = html(list, 'dt', `\u2016${L}`);
    spell(term, known.symbol);
    if (known.indices.length) html(term, 'sup', `⟨${position(known)}⟩`);
    term.append('\u2016');
    html(list, 'dd', number(found.norm), 'norm');
  }
}

/** Of a cell: all that it computes, with the size of each. */
function describeCell(unit) {
  const head = html(card, 'h2');
  spell(head, unit.labels[unit.afterTitle - 1]);
  html(head, 'small', unit.isOpen ? 'cell, open' : 'cell, closed');
  const seen = new Map(unit.marks.map(m => [told(m).name, told(m)])), known = [...seen.values()];
  const table = html(card, 'table');
  if (known.some(k => k.numbers)) {
    const top = html(table, 'tr');
    for (const words of ['', 'RMS', `\u2016${L}·\u2016`, 'equation']) html(top, 'th', words);
  }
  for (const k of known) {
    const cells = html(table, 'tr');
    heading(cells, 'td', k);
    if (k.numbers) for (const name of ['rms', 'norm']) html(cells, 'td', name in k.numbers ? number(k.numbers[name]) : '');
    html(cells, 'td', equation(k), 'equation');
  }
}

/** Show the card beside a box, or none. */
function tell(found) {
  card.hidden = !found;
  if (!found || !found.element) return;
  card.replaceChildren();
  if (found.isCell) describeCell(found.unit); else describe(told(found.mark));
  const box = found.element.getBoundingClientRect(), room = svg.parentNode.getBoundingClientRect();
  const {offsetWidth: w, offsetHeight: h} = card;
  const left = box.right + 12 + w <= room.right ? box.right + 12 : box.left - 12 - w >= room.left ? box.left - 12 - w
    : Math.max(room.left + 8, room.right - w - 8);
  const top = Math.min(Math.max(box.top, room.top + 8), room.bottom - h - 8);
  card.style.left = `${Math.round(left - room.left)}px`;
  card.style.top = `${Math.round(top - room.top)}px`;
}
