"use strict";
// The page of a lifecycle log: a sequence diagram and a table of which only what is in sight is in the document, charts,
// the keyboard. What comes from the log is put into the document as text, never as markup.
(() => {
  const log = JSON.parse(document.getElementById("log").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  // An event is an array, in this order.
  const LINE = 0, T = 1, HOST = 2, KIND = 3, CONN = 4, FROM = 5, TO = 6, WHAT = 7, WORDS = 8, WHY = 9, RULE = 10,
        ID = 11, STATE = 12;
  const SENT = 0, ARRIVED = 1, LOST = 2, WIRE = 3, CHANGED = 4, TIMER = 5, CALL = 6, OTHER = 7, TIMEWAIT = 8, TROUBLE = 9;
  const WIRE_COLUMN = -1;
  const events = log.events, text = log.texts;
  const name = (column) => (column === WIRE_COLUMN ? "wire" : log.columns[column]);

  const el = (tag, attributes, ...children) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const svg = (tag, attributes, words) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
    if (words !== undefined) node.textContent = words;
    return node;
  };
  const group = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  // Every time on the page counts from here.
  const zero = log.zero;
  const ms = (t) => {
    const us = Math.round((t - zero) / 1000);
    if (us < 0) return "-" + ms(2 * zero - t);
    return group(String(Math.floor(us / 1000))) + "." + String(us % 1000).padStart(3, "0");
  };
  // The unit in which a stretch of time is read best.
  const unit_of = (range) => range < 2e6 ? [1e3, "µs"] : range < 2e9 ? [1e6, "ms"] : range < 6e11 ? [1e9, "s"] : [6e10, "min"];
  const plain = (v) => group(String(Number(v.toPrecision(6))).replace(/\.\d+$/, "")) + (String(Number(v.toPrecision(6))).match(/\.\d+$/) || [""])[0];
  const span = (t, range) => plain(Number(((t - zero) / unit_of(range)[0]).toFixed(3))) + " " + unit_of(range)[1];
  const number = (v) => Number.isInteger(v) ? group(String(v)) : v.toPrecision(4);

  // --- Theme
  const root = document.documentElement;
  const prefers = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const paint = () => root.setAttribute("data-theme", chosen || (prefers.matches ? "dark" : "light"));
  prefers.addEventListener("change", paint);
  const toggle_theme = () => {
    chosen = root.getAttribute("data-theme") === "dark" ? "light" : "dark";
    paint();
  };
  paint();

  // --- What is in sight: the events that the filter takes
  const columns = log.columns.length;
  const said = new Map();  // lower case, made when first asked for
  const sentence = (i) => {
    let s = said.get(i);
    if (s === undefined) {
      const e = events[i];
      s = [name(e[HOST]), text[e[WHAT]], text[e[WORDS]], text[e[WHY]], text[e[RULE]], e[ID] ? "#" + e[ID] : "",
           e[CONN] < 0 ? "" : "conn " + (e[CONN] + 1)].join(" ").toLowerCase();
      said.set(i, s);
    }
    return s;
  };
  const sent_at = new Map(), arrived_at = new Map(), lost_at = new Map();
  const put = (map, key, value) => map.has(key) ? map.get(key).push(value) : map.set(key, [value]);
  events.forEach((e, i) => {
    if (!e[ID]) return;
    if (e[KIND] === SENT) sent_at.set(e[ID], i);
    if (e[KIND] === ARRIVED) put(arrived_at, e[ID], i);
    if (e[KIND] === LOST) put(lost_at, e[ID], i);
  });

  let rows = [], row_of = new Int32Array(events.length), long_arrows = [];
  let picked = -1, row_height = 22;
  const LONG = 300;
  const words_of_filter = () => $("filter").value.toLowerCase().split(/\s+/).filter((w) => w);
  const refilter = () => {
    const words = words_of_filter(), only = Number($("connection").value);
    rows = [];
    row_of.fill(-1);
    for (let i = 0; i < events.length; ++i) {
      if (only >= 0 && events[i][CONN] !== only) continue;
      if (words.length && !words.every((w) => sentence(i).includes(w))) continue;
      row_of[i] = rows.length;
      rows.push(i);
    }
    long_arrows = rows.filter((i) => events[i][KIND] === SENT && arrivals(i).some((j) => row_of[j] - row_of[i] > LONG));
    if (picked >= 0 && row_of[picked] < 0) picked = -1;
    $("count").textContent = rows.length === events.length ? group(String(rows.length)) + " events"
      : group(String(rows.length)) + " of " + group(String(events.length)) + " events";
    draw();
  };
  const arrivals = (i) => (events[i][ID] && arrived_at.get(events[i][ID])) || [];

  // --- The diagram
  const TIME = 104, SIDE = 350, SIDE_GAP = 44, LEAST_GAP = 170;
  let gap = 300;
  const x_of = (column) => TIME + 36 + column * gap;
  const lay_out = (width) => {
    gap = columns < 2 ? 300 : Math.max(LEAST_GAP, (width - TIME - 66 - SIDE) / (columns - 1));
  };
  const full_width = () => x_of(Math.max(columns - 1, 0)) + 30 + SIDE;
  const size = () => Math.min(13, Math.max(7, row_height * 0.6));

  // So that lines do not run through the words.
  const ground = (layer, words, x, y, to_right) => {
    const wide = words.length * size() * 0.605 + 4;
    layer.append(svg("rect", {fill: "var(--panel)", x: to_right ? x - 2 : x - wide + 2, y: y - size() * 0.85, width: wide, height: size() * 1.1}));
  };
  const arrow = (layer, over, x1, y1, x2, y2, bad, label) => {
    const kind = bad ? " bad" : "";
    layer.append(svg("line", {class: "arrow" + kind, x1, y1, x2, y2}));
    const angle = Math.atan2(y2 - y1, x2 - x1), s = Math.min(8, row_height / 2 + 2);
    const at = (d, a) => (x2 - d * Math.cos(angle + a)) + "," + (y2 - d * Math.sin(angle + a));
    layer.append(svg("polygon", {class: "tip" + kind, points: x2 + "," + y2 + " " + at(s, 0.4) + " " + at(s, -0.4)}));
    if (label && row_height >= 11) {
      // In the row of its sending, of which nothing else is: no two labels meet, however steep the arrows are.
      const from_left = x1 < x2, y = y1 + size() * 0.35, x = x1 + (from_left ? 12 : -12);
      ground(over, label, x, y, from_left);
      over.append(svg("text", {class: kind.trim(), x, y, "font-size": size(), "text-anchor": from_left ? "start" : "end"}, label));
    }
  };
  // What a state is drawn with.
  const state_mark = (layer, e, y) => {
    const x = x_of(e[HOST]), last = e[HOST] === columns - 1 && columns > 1;
    layer.append(svg("rect", {x: x - 4, y: y - row_height / 2 + 1, width: 8, height: row_height - 2, rx: 2,
                              fill: "var(--s" + e[STATE] + ")"}));
    if (row_height >= 11) {
      ground(layer, log.state_names[e[STATE]], x + (last ? -9 : 9), y + size() * 0.35, !last);
      layer.append(svg("text", {class: "halo", x: x + (last ? -9 : 9), y: y + size() * 0.35, "font-size": size(),
                                "text-anchor": last ? "end" : "start"}, log.state_names[e[STATE]]));
    }
  };
  // What stands for an event that is no segment: a call, a time-out, what became of TIME_WAIT, what went wrong.
  const mark_of = (kind, x, y, r) => {
    if (kind === TIMER) return svg("rect", {class: "mark timer", x: x - r, y: y - r, width: 2 * r, height: 2 * r, transform: "rotate(45 " + x + " " + y + ")"});
    if (kind === TIMEWAIT) return svg("rect", {class: "mark timewait", x: x - r, y: y - r, width: 2 * r, height: 2 * r});
    if (kind === TROUBLE) return svg("path", {class: "mark trouble", d: "M" + (x - r) + " " + (y - r) + "l" + 2 * r + " " + 2 * r + "m0 " + -2 * r + "l" + -2 * r + " " + 2 * r});
    if (kind === OTHER) return svg("path", {class: "mark other", d: "M" + x + " " + (y - r) + "L" + (x + r) + " " + (y + r) + "H" + (x - r) + "Z"});
    return svg("circle", {class: "mark call", cx: x, cy: y, r});
  };
  // Bands by time: those that a time lies in.
  const SLACK = Math.max(1000, (log.range[1] - log.range[0]) / 20000);
  const bands_at = (t) => {
    const found = [];
    for (let b = 0; b < log.bands.length && found.length < 3; ++b) {
      if (log.bands[b][0] - SLACK <= t && t <= log.bands[b][1] + SLACK) found.push(b);
    }
    return found;
  };
  const band_words = ([from, to, label, , count]) => {
    const range = log.range[1] - log.range[0], whole = span(from, range) + (to - from > range / 1000 ? " to " + span(to, range) : "");
    return label + (count > 1 ? " (" + group(String(count)) + " times)" : "") + ", " + whole;
  };
  const draw_rows = (first, last, top) => {
    const layer = svg("g"), over = svg("g");
    const y_of = (row) => (row - top) * row_height + row_height / 2;
    for (let c = 0; c < columns; ++c) {
      layer.append(svg("line", {class: "life", x1: x_of(c), x2: x_of(c), y1: (first - top) * row_height,
                                y2: (last - top) * row_height}));
    }
    const draw_sent = (i) => {
      const e = events[i], y = y_of(row_of[i]);
      if (e[FROM] < 0 || e[TO] < 0) return;
      const x1 = x_of(e[FROM]), x2 = x_of(e[TO]);
      const label = text[e[WORDS]];
      const ends = arrivals(i).filter((j) => row_of[j] >= 0);
      const drops = (lost_at.get(e[ID]) || []).filter((j) => e[ID]);
      if (e[FROM] === e[TO]) {
        over.append(svg("text", {class: "halo", x: x1 + 9, y: y + 4, "font-size": size()}, label + " (to itself)"));
      } else if (!ends.length && drops.length) {
        const mid = x1 + (x2 - x1) * 0.72;
        arrow(layer, over, x1, y, mid, y + row_height * 0.25, true, label);
        layer.append(svg("text", {class: "bad halo", x: mid + (x2 > x1 ? 4 : -4), y: y + size() * 0.5, "font-size": size() + 2,
                                  "text-anchor": x2 > x1 ? "start" : "end"}, "✕ lost"));
      } else if (!ends.length) {
        arrow(layer, over, x1, y, x2, y, label.startsWith("RST"), label);
      } else {
        ends.forEach((j, n) => {
          const to = events[j][TO] >= 0 ? x_of(events[j][TO]) : x2;
          arrow(layer, over, x1, y, to, y_of(row_of[j]), label.startsWith("RST"), n ? "" : label);
        });
      }
    };
    for (let r = first; r < last; ++r) {
      const bands = bands_at(events[rows[r]][T]);
      bands.slice(0, 3).forEach((b, n) => {
        const mark = svg("rect", {class: "band" + log.bands[b][3], x: TIME + 4 + n * 5, y: (r - top) * row_height, width: 4, height: row_height});
        mark.append(svg("title", {}, band_words(log.bands[b])));
        layer.append(mark);
      });
    }
    const from = Math.max(0, first - LONG);
    for (let r = from; r < last; ++r) if (events[rows[r]][KIND] === SENT) draw_sent(rows[r]);
    for (const i of long_arrows) {
      if (row_of[i] < from && arrivals(i).some((j) => row_of[j] >= first)) draw_sent(i);
    }
    for (let r = first; r < last; ++r) {
      const i = rows[r], e = events[i], y = y_of(r), top_y = (r - top) * row_height;
      if (i === picked) layer.prepend(svg("rect", {class: "picked", x: 0, y: top_y, width: full_width(), height: row_height}));
      if (row_height >= 9) {
        over.append(svg("text", {class: "soft", x: TIME, y: y + size() * 0.35, "text-anchor": "end", "font-size": size()}, ms(e[T])));
      }
      const sender_known = e[ID] && sent_at.has(e[ID]) && row_of[sent_at.get(e[ID])] >= 0;
      if (e[KIND] === ARRIVED && !sender_known && e[FROM] >= 0 && e[TO] >= 0 && e[FROM] !== e[TO]) {
        arrow(layer, over, x_of(e[FROM]), y, x_of(e[TO]), y, text[e[WORDS]].startsWith("RST"), text[e[WORDS]]);
      } else if (e[KIND] === CHANGED && e[HOST] >= 0) {
        state_mark(over, e, y);
      } else if (e[KIND] >= TIMER && e[HOST] >= 0) {
        const end = e[HOST] === columns - 1 && columns > 1;
        over.append(mark_of(e[KIND], x_of(e[HOST]), y, Math.min(4, row_height / 3)));
        if (row_height >= 11) {
          ground(over, text[e[WHAT]], x_of(e[HOST]) + (end ? -9 : 9), y + size() * 0.35, !end);
          over.append(svg("text", {class: "halo" + (e[KIND] === TIMEWAIT ? " warn" : e[KIND] === TROUBLE ? " bad" : ""), x: x_of(e[HOST]) + (end ? -9 : 9),
                                   y: y + size() * 0.35, "font-size": size(), "text-anchor": end ? "end" : "start"}, text[e[WHAT]]));
        }
      }
      let side = text[e[RULE]];
      if (e[KIND] === TROUBLE || text[e[WHAT]] === "setting changed") side = text[e[WHY]];
      if (e[KIND] === WIRE) side = text[e[WHAT]] + " #" + e[ID] + " " + text[e[WHY]];
      if (e[KIND] === LOST) side = "lost" + (e[ID] ? " #" + e[ID] : "") + ": " + text[e[WHY]];
      if (row_height >= 11 && side) {
        over.append(svg("text", {class: e[KIND] === LOST || e[KIND] === TROUBLE ? "bad" : "soft", x: x_of(Math.max(columns - 1, 0)) + SIDE_GAP,
                                 y: y + size() * 0.35, "font-size": size()}, side));
      }
    }
    layer.append(over);
    return layer;
  };
  const heads = (width) => {
    const head = svg("svg", {width, height: 26});
    log.columns.forEach((c, i) => {
      const most = Math.max(6, Math.floor(gap / 8.5));
      const label = svg("text", {x: x_of(i), y: 18, "text-anchor": "middle", "font-size": 13, "font-weight": 600},
                        c.length > most ? c.slice(0, most - 1) + "…" : c);
      label.append(svg("title", {}, c));
      head.append(label);
    });
    head.append(svg("text", {class: "soft", x: TIME, y: 18, "text-anchor": "end", "font-size": 12}, zero ? "ms after start" : "ms"));
    head.append(svg("text", {class: "soft", x: x_of(Math.max(columns - 1, 0)) + SIDE_GAP, y: 18, "font-size": 12}, "rule, fault"));
    return head;
  };

  const sight = (box, height) => {
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 10);
    return [first, Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / height) + 10)];
  };
  const draw_diagram = () => {
    const box = $("diagram");
    lay_out(box.clientWidth - 2);
    const width = Math.max(full_width(), box.clientWidth - 20);
    $("heads").replaceChildren(heads(width));
    const space = $("lane");
    space.style.height = rows.length * row_height + "px";
    space.style.width = width + "px";
    const [first, last] = sight(box, row_height);
    const page = svg("svg", {width, height: (last - first) * row_height, style: "position:absolute;left:0;top:" + first * row_height + "px;overflow:hidden"});
    page.append(draw_rows(first, last, first));
    page.addEventListener("click", (event) => {
      const row = first + Math.floor((event.clientY - page.getBoundingClientRect().top) / row_height);
      if (row >= 0 && row < rows.length) pick(rows[row], "diagram");
    });
    space.replaceChildren(page);
    mark_sight();
  };

  // --- The table
  const TABLE_ROW = 20;
  const cells = (e) => [String(e[LINE]).padStart(7), ms(e[T]).padStart(13), name(e[HOST]).slice(0, 16).padEnd(16),
    (e[CONN] < 0 ? "" : String(e[CONN] + 1)).padStart(5), (e[ID] ? "#" + e[ID] : "").padEnd(8),
    (text[e[WORDS]] ? text[e[WHAT]].padEnd(9) + " " + text[e[WORDS]] : text[e[WHAT]]).padEnd(46), [text[e[WHY]], text[e[RULE]]].filter((s) => s).join(" / ")].join("  ");
  const tint = (e) => e[KIND] === LOST || text[e[WORDS]].startsWith("RST") ? " bad" : e[KIND] === TIMEWAIT ? " warn" : "";
  const draw_table = () => {
    const box = $("events"), space = $("lines");
    space.style.height = rows.length * TABLE_ROW + "px";
    const [first, last] = sight(box, TABLE_ROW);
    const lines = [];
    for (let r = first; r < last; ++r) {
      const e = events[rows[r]];
      const line = el("div", {class: "row" + (rows[r] === picked ? " picked" : "") + tint(e), style: "top:" + r * TABLE_ROW + "px",
                              "data-event": rows[r]}, cells(e));
      lines.push(line);
    }
    space.replaceChildren(...lines);
  };
  $("lines").addEventListener("click", (event) => {
    const line = event.target.closest("[data-event]");
    if (line) pick(Number(line.dataset.event), "events");
  });
  const draw = () => { draw_diagram(); draw_table(); };

  // --- One event
  const show_row = (box, row, height) => {
    const y = row * height, head = box.id === "diagram" ? $("heads").offsetHeight : 0;
    if (y < box.scrollTop) box.scrollTop = y;
    if (y + height > box.scrollTop + box.clientHeight - head) box.scrollTop = y + height - box.clientHeight + head;
  };
  const center = (box, row, height) => { box.scrollTop = Math.max(0, row * height - box.clientHeight / 2); };
  const pick = (i, where) => {
    picked = i;
    if (i >= 0 && row_of[i] >= 0) {
      if (where === "diagram") { show_row($("diagram"), row_of[i], row_height); center($("events"), row_of[i], TABLE_ROW); }
      else if (where === "events") { show_row($("events"), row_of[i], TABLE_ROW); center($("diagram"), row_of[i], row_height); }
      else { center($("diagram"), row_of[i], row_height); center($("events"), row_of[i], TABLE_ROW); }
    }
    const e = events[i];
    const lines = !e ? [] : [
      "line " + e[LINE] + "   " + ms(e[T]) + " ms" + (zero ? " after the start" : "") + "   " + name(e[HOST]) + "   " + text[e[WHAT]] + (e[ID] ? " #" + e[ID] : "") + "   " + text[e[WORDS]],
      (text[e[WHY]] ? "because of " + text[e[WHY]] + "   " : "") + (text[e[RULE]] ? "rule " + text[e[RULE]] : ""),
      e[CONN] < 0 ? "" : "connection " + (e[CONN] + 1) + ": " + log.connections[e[CONN]],
    ];
    $("detail").textContent = e ? lines.filter((l) => l.trim()).join("\n") : "";
    draw();
  };
  const go_to = (t) => {
    let low = 0, high = rows.length;  // the first event at or after it
    while (low < high) { const m = (low + high) >> 1; if (events[rows[m]][T] < t) low = m + 1; else high = m; }
    if (rows.length) pick(rows[Math.min(low, rows.length - 1)], "");
  };
  const step = (by) => {
    if (!rows.length) return;
    const from = picked >= 0 ? row_of[picked] : by > 0 ? -1 : rows.length;
    const row = Math.min(rows.length - 1, Math.max(0, from + by));
    pick(rows[row], document.activeElement === $("events") ? "events" : "diagram");
  };
  // From where it is sent to where it arrives, and back; to what a cause names.
  const follow = (forward) => {
    const e = events[picked];
    if (!e || !e[ID]) return;
    const to = forward ? (arrived_at.get(e[ID]) || lost_at.get(e[ID]) || [])[0] : sent_at.get(e[ID]);
    if (to !== undefined && row_of[to] >= 0) pick(to, "diagram");
  };
  const zoom = (factor) => {
    const box = $("diagram"), middle = (box.scrollTop + box.clientHeight / 2) / row_height;
    row_height = Math.min(48, Math.max(3, row_height * factor));
    draw_diagram();
    box.scrollTop = middle * row_height - box.clientHeight / 2;
    draw_diagram();
  };

  // --- Charts: one axis of time for all
  let range = [log.range[0], Math.max(log.range[1], log.range[0] + 1)];
  const charts = [];
  const LEFT = 66, BELOW = 34, ABOVE = 22;
  const nice = (top) => {
    if (!(top > 0)) return 1;
    top *= 0.995;  // what is above by rounding alone is not above
    const power = Math.pow(10, Math.floor(Math.log10(top)));
    // Of numbers above one, half of it is a whole one too.
    return [1, 2, 4, 6, 8, 10].map((f) => f * power).find((v) => v >= top && (top <= 1 || (v / 2) % 1 === 0)) || top;
  };
  const time_ticks = () => {
    const raw = (range[1] - range[0]) / 5, power = Math.pow(10, Math.floor(Math.log10(raw)));
    const unit = unit_of(range[1] - range[0]);
    const by = (unit[1] === "min" ? [1, 2, 5, 10, 15, 30, 60].map((m) => m * 6e10) : [1, 2, 5, 10].map((f) => f * power)).find((v) => v >= raw) || raw;
    const ticks = [];
    for (let t = Math.ceil((range[0] - zero) / by) * by + zero; t <= range[1] && ticks.length < 12; t += by) ticks.push(t);
    return ticks;
  };
  // The last point at or before t.
  const before = (points, t) => {
    let low = 0, high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points[middle][0] <= t) low = middle + 1; else high = middle;
    }
    return low - 1;
  };
  const chart = (title, unit, draw_into, value_at, top, legend, where, height, limit) => {
    const value = el("span", {class: "value"}), holder = el("div");
    const figure = el("figure", {}, el("figcaption", {}, el("span", {}, title), value), holder);
    if (legend) figure.append(legend);
    const paint_chart = () => {
      const H = height || 178;
      const width = Math.max(240, holder.clientWidth || figure.clientWidth - 20 || 500);
      const x = (t) => LEFT + (t - range[0]) / (range[1] - range[0]) * (width - LEFT - 6);
      const most = nice(top), y = (v) => ABOVE + (1 - v / most) * (H - ABOVE - BELOW);
      const s = svg("svg", {width, height: H, viewBox: "0 0 " + width + " " + H, role: "img", "aria-label": title});
      const id = "clip" + charts.indexOf(entry);
      const clip = svg("clipPath", {id});
      clip.append(svg("rect", {x: LEFT, y: 0, width: width - LEFT - 6, height: H - BELOW}));
      s.append(clip);
      const inside = svg("g", {"clip-path": "url(#" + id + ")"});
      for (const one of log.bands) {
        const [from, to, , kind] = one;
        if (to < range[0] || from > range[1]) continue;
        const width_of = Math.max(2, x(to) - x(from)), title = band_words(one);
        for (const [top, tall, faint] of [[2, 9, ""], [ABOVE, H - ABOVE - BELOW, " faint"]]) {
          const band = svg("rect", {class: "band" + kind + faint, x: x(from), y: top, width: width_of, height: tall});
          band.append(svg("title", {}, title));
          inside.append(band);
        }
      }
      draw_into(inside, x, y, H);
      if (limit) {
        inside.append(svg("line", {class: "limit", x1: LEFT, x2: width - 6, y1: y(limit[0]), y2: y(limit[0])}));
        inside.append(svg("text", {class: "warn halo", x: width - 10, y: y(limit[0]) - 4, "text-anchor": "end", "font-size": 11}, limit[1]));
      }
      s.append(inside);
      if (top > 0) {
        for (const v of most > 1 ? [0, most / 2, most] : [0, most]) {
          s.append(svg("line", {class: "axis", x1: LEFT, x2: width - 6, y1: y(v), y2: y(v)}));
          s.append(svg("text", {class: "soft", x: LEFT - 5, y: y(v) + 4, "text-anchor": "end", "font-size": 11}, number(v)));
        }
        s.append(svg("text", {class: "soft", x: 2, y: ABOVE - 9, "font-size": 11}, unit));
      }
      for (const t of time_ticks()) {
        s.append(svg("line", {class: "axis", x1: x(t), x2: x(t), y1: H - BELOW, y2: H - BELOW + 4}));
        s.append(svg("text", {class: "soft", x: Math.min(x(t), width - 2), y: H - BELOW + 15, "text-anchor": x(t) > width - 30 ? "end" : "middle", "font-size": 11},
                     plain(Number(((t - zero) / unit_of(range[1] - range[0])[0]).toFixed(3)))));
      }
      s.append(svg("text", {class: "soft", x: width - 6, y: H - 4, "text-anchor": "end", "font-size": 11},
                   (zero ? "time since the start, " : "time of the log, ") + unit_of(range[1] - range[0])[1]));
      for (const [words, at] of entry.lanes || []) {
        s.append(svg("text", {class: "soft", x: LEFT - 5, y: at, "text-anchor": "end", "font-size": 11}, words.length > 9 ? words.slice(0, 8) + "…" : words));
      }
      const seen = svg("rect", {class: "seen", y: ABOVE, height: H - ABOVE - BELOW, width: 0, x: 0});
      s.append(seen);
      entry.mark = (from, to) => {
        seen.setAttribute("x", Math.max(LEFT, x(from)));
        seen.setAttribute("width", Math.max(0, Math.min(width - 6, x(to)) - Math.max(LEFT, x(from))));
      };
      const cross = svg("line", {class: "cross", y1: ABOVE, y2: H - BELOW, x1: -9, x2: -9});
      s.append(cross);
      const t_of = (event) => {
        const at = (event.clientX - s.getBoundingClientRect().left) / s.getBoundingClientRect().width * width;
        return range[0] + Math.min(1, Math.max(0, (at - LEFT) / (width - LEFT - 6))) * (range[1] - range[0]);
      };
      let drag = null;
      s.addEventListener("pointerdown", (event) => { drag = t_of(event); });
      s.addEventListener("pointermove", (event) => {
        const t = t_of(event);
        cross.setAttribute("x1", x(t)); cross.setAttribute("x2", x(t));
        value.textContent = span(t, range[1] - range[0]) + "   " + value_at(t);
        if (drag !== null) entry.mark(Math.min(drag, t), Math.max(drag, t));
      });
      s.addEventListener("pointerleave", () => { value.textContent = ""; drag = null; cross.setAttribute("x1", -9); cross.setAttribute("x2", -9); });
      s.addEventListener("pointerup", (event) => {
        const t = t_of(event), from = drag;
        drag = null;
        if (from !== null && Math.abs(x(t) - x(from)) > 5) return set_range(Math.min(from, t), Math.max(from, t));
        go_to(t);
      });
      s.addEventListener("dblclick", () => set_range(log.range[0], Math.max(log.range[1], log.range[0] + 1)));
      value.textContent = "";
      holder.replaceChildren(s);
    };
    const entry = {paint: paint_chart, mark: () => {}};
    charts.push(entry);
    $(where || "charts").append(figure);
  };
  const set_range = (from, to) => {
    range = [from, Math.max(to, from + 1000)];
    charts.forEach((c) => c.paint());
    mark_sight();
  };
  const stretch = (factor, shift) => {
    const width = (range[1] - range[0]) * factor, middle = (range[0] + range[1]) / 2 + shift * (range[1] - range[0]);
    const all = Math.max(log.range[1], log.range[0] + 1) - log.range[0];
    if (width >= all) return set_range(log.range[0], log.range[0] + all);
    const from = Math.min(Math.max(log.range[0], middle - width / 2), log.range[0] + all - width);
    set_range(from, from + width);
  };
  const mark_sight = () => {
    if (!rows.length) return;
    const box = $("diagram");
    const first = Math.min(rows.length - 1, Math.floor(box.scrollTop / row_height));
    const last = Math.min(rows.length - 1, Math.floor((box.scrollTop + box.clientHeight) / row_height));
    charts.forEach((c) => c.mark(events[rows[first]][T], events[rows[last]][T]));
  };
  const steps = (points, x, y, value) => {
    let d = "";
    for (let i = Math.max(0, before(points, range[0])); i < points.length; ++i) {
      const px = x(points[i][0]).toFixed(1), py = y(value(points[i])).toFixed(1);
      d += d ? "H" + px + "V" + py : "M" + px + " " + py;
      if (points[i][0] > range[1]) break;
    }
    return d + "H" + x(range[1]).toFixed(1);
  };
  const state_color = (name) => "var(--s" + Math.max(0, log.state_names.indexOf(name)) + ")";
  const legend_of = (entries) => {
    const legend = el("div", {class: "legend"});
    for (const [words, color] of entries) legend.append(el("span", {}, el("i", {style: "background:" + color}), words));
    return legend;
  };
  // Numbers on top of each other: `parts` are names and colours, points have a number for each.
  const stack = (title, unit, parts, points, where, totals) => {
    let top = 0;
    for (const [, values] of points) top = Math.max(top, values.reduce((sum, v) => sum + v, 0));
    const legend = legend_of(parts.map(([words, color], n) => [words + (totals ? totals[n] : ""), color]));
    chart(title, unit, (layer, x, y) => {
      const start = Math.max(0, before(points, range[0]));
      const bars = parts.map(() => "");
      for (let i = start; i < points.length && points[i][0] <= range[1]; ++i) {
        const until = i + 1 < points.length ? points[i + 1][0] : range[1];
        const x1 = Math.max(x(points[i][0]), x(range[0])).toFixed(2), x2 = Math.min(x(until), x(range[1])).toFixed(2);
        let below = 0;
        parts.forEach((_, n) => {
          const count = points[i][1][n];
          if (count) bars[n] += "M" + x1 + " " + y(below).toFixed(2) + "H" + x2 + "V" + y(below + count).toFixed(2) + "H" + x1 + "Z";
          below += count;
        });
      }
      parts.forEach(([, color], n) => layer.append(svg("path", {d: bars[n], fill: color})));
    }, (t) => {
      const i = before(points, t);
      return i < 0 ? "" : parts.map(([words], n) => [points[i][1][n], words]).filter(([v]) => v).map(([v, words]) => number(v) + " " + words).join(", ") || "nothing";
    }, Math.max(top, 1e-9), legend, where);
  };
  const COLORS = {good: "var(--good)", bad: "var(--bad)", warn: "var(--warn)"};
  for (const one of log.stacks) {
    stack(one.name, one.unit, one.parts.map(([words, color]) => [words, COLORS[color] || state_color(color)]), one.points, one.key ? "key" : "charts");
  }
  // Few connections: each has a lane at each of its hosts, in the colours of its states.
  const lanes = [];
  if (log.whole && log.connections.length <= 6) {
    const known = new Map();
    events.forEach((e) => {
      if (e[KIND] !== CHANGED || e[CONN] < 0 || e[HOST] < 0) return;
      const key = e[CONN] + "/" + e[HOST];
      if (!known.has(key)) {
        known.set(key, lanes.length);
        lanes.push({conn: e[CONN], host: e[HOST], points: []});
      }
      lanes[known.get(key)].points.push([e[T], e[STATE]]);
    });
    // Whoever crashes has nothing any more.
    const closed = log.state_names.indexOf("CLOSED");
    events.forEach((e) => {
      if (e[KIND] !== TROUBLE || !text[e[WHAT]].startsWith("crash")) return;
      for (const lane of lanes) {
        if (lane.host !== e[HOST] || lane.points[0][0] > e[T]) continue;
        lane.points.push([e[T], closed]);
        lane.points.sort((a, b) => a[0] - b[0]);
      }
    });
    lanes.sort((a, b) => a.conn - b.conn || a.host - b.host);
  }
  if (lanes.length && lanes.length <= 14) {
    const rest = ["CLOSED", "LISTEN"].map((name) => log.state_names.indexOf(name));
    const used = [...new Set(lanes.flatMap((l) => l.points.map((p) => p[1])))].filter((s) => !rest.includes(s)).sort((a, b) => a - b);
    const LANE = 22, tall = lanes.length * LANE;
    const label = (l) => (log.connections.length > 1 ? (l.conn + 1) + " " : "") + name(l.host);
    chart("each connection's state at each of its hosts", "", (layer, x) => {
      lanes.forEach((lane, n) => {
        const y = 24 + n * LANE;
        lane.points.forEach(([at, state], i) => {
          if (rest.includes(state)) return;
          const until = i + 1 < lane.points.length ? lane.points[i + 1][0] : log.range[1];
          if (until < range[0] || at > range[1]) return;
          const from = x(Math.max(at, range[0])), wide = Math.max(1.5, x(Math.min(until, range[1])) - from);
          const bar = svg("rect", {x: from, y, width: wide, height: LANE - 6, fill: "var(--s" + state + ")"});
          bar.append(svg("title", {}, log.state_names[state] + ", " + ms(at) + " to " + ms(until) + " ms"));
          layer.append(bar);
          if (wide > log.state_names[state].length * 7 + 6) {
            layer.append(svg("text", {class: "on" , x: from + 4, y: y + LANE - 10, "font-size": 11}, log.state_names[state]));
          }
        });
      });
    }, (t) => lanes.map((l) => {
      const i = before(l.points, t);
      return i < 0 || rest.includes(l.points[i][1]) ? "" : label(l) + " " + log.state_names[l.points[i][1]];
    }).filter((w) => w).join(", "), 0, legend_of(used.map((s) => [log.state_names[s], "var(--s" + s + ")"])), "charts", tall + 60);
    charts[charts.length - 1].lanes = lanes.map((l, n) => [label(l), 24 + n * LANE + 12]);
  }
  if (!lanes.length || lanes.length > 14) {
    for (const host of log.states) {
      const used = log.state_names.map((_, s) => s).filter((s) => host.points.some((p) => p[1][s] > 0));
      stack("states of " + host.name, "connections", used.map((s) => [log.state_names[s], "var(--s" + s + ")"]),
            host.points.map(([t, counts]) => [t, used.map((s) => counts[s])]));
    }
  }
  for (const series of log.series) {
    let top = series.limit || 0;
    for (const p of series.points) top = Math.max(top, p[1]);
    chart(series.name, series.unit, (layer, x, y) => {
      if (series.points.length) layer.append(svg("path", {class: "curve", d: steps(series.points, x, y, (p) => p[1])}));
    }, (t) => {
      const i = before(series.points, t);
      return i < 0 ? "" : number(series.points[i][1]) + " " + series.unit;
    }, top, undefined, "charts", undefined, series.limit === undefined ? undefined : [series.limit, series.limit_name]);
  }
  if (log.constant.length) $("constant").textContent = "Without a chart, since nothing of it changes or can be seen: " + log.constant.join("; ") + ".";

  // --- What is drawn with what
  const band_name = (label, kind) => kind === 4 ? "setting changed, " + label
    : kind !== 0 ? label : label.includes(": ") ? "scripted " + label : "scripted " + label + " strikes";
  const legend_entry = (picture, words) => el("span", {}, picture, words);
  const little = (...shapes) => {
    const picture = svg("svg", {width: 26, height: 12, class: "little", "aria-hidden": "true"});
    picture.append(...shapes);
    return picture;
  };
  const by_label = new Map();
  for (const [, , label, kind, count] of log.bands) {
    const known = by_label.get(label) || [kind, 0];
    by_label.set(label, [kind, known[1] + count]);
  }
  const band_entries = () => [...by_label].slice(0, 12).map(([label, [kind, count]]) =>
    legend_entry(little(svg("rect", {class: "band" + kind, x: 4, y: 1, width: 16, height: 10})),
                 band_name(label, kind) + (count > 1 ? ", " + group(String(count)) + " times" : "")));
  // What every chart has: the part of the time that the diagram shows.
  const seen_entry = () => el("span", {}, el("i", {class: "seen-key"}), "what the diagram below shows of the time");
  $("bands").replaceChildren(...band_entries(), ...(charts.length ? [seen_entry()] : []));
  {
    const kinds = new Set(events.map((e) => e[KIND])), whats = new Set(events.map((e) => text[e[WHAT]]));
    const line = (bad, y2) => svg("line", {class: "arrow" + (bad ? " bad" : ""), x1: 2, x2: 24, y1: 4, y2});
    const marks = [];
    if (kinds.has(SENT) || kinds.has(ARRIVED)) marks.push(legend_entry(little(line(false, 9)), "segment, from where it is sent to where it arrives"));
    if (events.some((e) => text[e[WORDS]].startsWith("RST"))) marks.push(legend_entry(little(line(true, 9)), "RST"));
    if (kinds.has(LOST)) marks.push(legend_entry(little(svg("text", {class: "bad", x: 6, y: 11, "font-size": 12}, "✕")), "lost"));
    if (kinds.has(CHANGED)) marks.push(legend_entry(little(svg("rect", {x: 9, y: 1, width: 7, height: 10, rx: 2, fill: "var(--s3)"})), "new state, in its colour"));
    if (kinds.has(CALL)) marks.push(legend_entry(little(mark_of(CALL, 13, 6, 4)), "call of a program"));
    if (kinds.has(TIMER)) marks.push(legend_entry(little(mark_of(TIMER, 13, 6, 3.5)), "time-out"));
    if (kinds.has(TIMEWAIT)) marks.push(legend_entry(little(mark_of(TIMEWAIT, 13, 6, 4)), "TIME_WAIT begins, ends, is reused or refused"));
    if (kinds.has(TROUBLE)) marks.push(legend_entry(little(mark_of(TROUBLE, 13, 6, 4)), "connect() that fails at once; a crash"));
    if (whats.has("ICMP error arrived")) marks.push(legend_entry(little(mark_of(OTHER, 13, 6, 4)), "an ICMP error arrived"));
    if (whats.has("path doubted")) marks.push(legend_entry(little(mark_of(OTHER, 13, 6, 4)), "path doubted: so many retransmissions that another route should be looked for (RFC 9293, 3.8.3); nothing is sent for it"));
    $("marks").replaceChildren(...marks, ...band_entries());
  }
  // Where to go at once.
  {
    const band_first = new Map();
    for (const b of log.bands) if (!band_first.has(b[2])) band_first.set(b[2], b);
    const first = (words, test) => {
      const e = events.find(test);
      return e ? [[e[T], words]] : [];
    };
    const all = [...log.moments,
      ...[...band_first.values()].slice(0, 5).map((b) => [b[0], b[2]]),
      ...(log.moments.some((m) => m[1].includes("first failure")) ? [] : first("first connect() that fails", (e) => text[e[WHAT]] === "connect() fails")),
      ...first("first lost segment", (e) => e[KIND] === LOST),
      ...first("first RST", (e) => e[KIND] === SENT && text[e[WORDS]].startsWith("RST")),
      ...first("first loss probe", (e) => e[KIND] === TIMER && text[e[WHAT]].includes("loss probe")),
      ...first("first retransmission time-out", (e) => e[KIND] === TIMER && text[e[WHAT]].includes("retransmission")),
      ...log.bands.some((b) => b[3] === 3) ? [] : first("crash", (e) => text[e[WHAT]].startsWith("crash"))];
    all.sort((a, b) => a[0] - b[0]);
    const last = events.length ? events[events.length - 1][T] : 0;
    const buttons = all.filter(([t]) => t <= last).slice(0, 16).map(([t, words]) => {
      const button = el("button", {}, words + " ", el("span", {class: "meta"}, span(t, Math.max(1e3, t - zero))));
      button.addEventListener("click", () => go_to(t));
      return button;
    });
    if (buttons.length) $("moments").replaceChildren(el("span", {class: "meta"}, "go to"), ...buttons);
  }

  // --- On paper: what has been filtered, the beginning of it
  const MOST_PRINTED = 250;
  const print_page = () => {
    const keep = row_height;
    row_height = 18;
    lay_out(1000);
    const count = Math.min(rows.length, MOST_PRINTED), width = full_width(), pages = [];
    for (let first = 0; first < count; first += 45) {
      const last = Math.min(count, first + 45);
      const page = svg("svg", {width, height: (last - first) * row_height + 26, viewBox: "0 0 " + width + " " + ((last - first) * row_height + 26)});
      page.append(...heads(width).childNodes);
      // One within the other, so that arrows of the rows before end at the edge.
      const body = svg("svg", {x: 0, y: 26, width, height: (last - first) * row_height});
      body.append(draw_rows(first, last, first));
      page.append(body);
      pages.push(page);
    }
    if (rows.length > count) pages.push(el("p", {}, group(String(rows.length - count)) + " more events are not printed; a filter chooses others"));
    $("paper").replaceChildren(...pages);
    row_height = keep;
  };
  window.addEventListener("beforeprint", print_page);
  window.addEventListener("afterprint", () => { $("paper").replaceChildren(); draw(); });

  // --- Keyboard and buttons
  const help = $("help");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const writing = event.target.tagName === "INPUT" || event.target.tagName === "SELECT";
    if (event.key === "Escape") {
      if (writing) { $("filter").value = ""; refilter(); event.target.blur(); }
      return;
    }
    if (writing || help.open) {
      if (event.key === "?" && help.open) { help.close(); event.preventDefault(); }
      return;
    }
    const page = Math.max(1, Math.floor($("diagram").clientHeight / row_height) - 2);
    const keys = {
      ArrowDown: () => step(1), ArrowUp: () => step(-1), PageDown: () => step(page), PageUp: () => step(-page),
      Home: () => step(-rows.length), End: () => step(rows.length), ArrowRight: () => follow(true), ArrowLeft: () => follow(false),
      "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => zoom(22 / row_height),
      "/": () => $("filter").focus(), "?": () => help.showModal(), t: toggle_theme,
      "[": () => stretch(0.5, 0), "]": () => stretch(2, 0), ",": () => stretch(1, -0.25), ".": () => stretch(1, 0.25),
    };
    if (keys[event.key]) { keys[event.key](); event.preventDefault(); }
  });
  $("theme").addEventListener("click", toggle_theme);
  $("question").addEventListener("click", () => help.showModal());
  $("closer").addEventListener("click", () => help.close());
  $("in").addEventListener("click", () => zoom(1.25));
  $("out").addEventListener("click", () => zoom(0.8));
  $("filter").addEventListener("input", refilter);
  $("connection").append(el("option", {value: "-1"}, "all connections"));
  log.connections.forEach((c, i) => {
    if (i < 2000) $("connection").append(el("option", {value: String(i)}, (i + 1) + "  " + c));
  });
  $("connection").addEventListener("change", refilter);
  let waiting = false;
  const later = (what) => () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; what(); });
  };
  $("diagram").addEventListener("scroll", later(draw));
  $("events").addEventListener("scroll", later(draw));
  window.addEventListener("resize", later(() => { charts.forEach((c) => c.paint()); draw(); }));
  charts.forEach((c) => c.paint());
  refilter();
})();
