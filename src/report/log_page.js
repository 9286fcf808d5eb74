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
  const SENT = 0, ARRIVED = 1, LOST = 2, WIRE = 3, CHANGED = 4, TIMER = 5, CALL = 6, OTHER = 7, TIMEWAIT = 8;
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
  const ms = (t) => {
    const us = Math.round(t / 1000);
    return group(String(Math.floor(us / 1000))) + "." + String(us % 1000).padStart(3, "0");
  };
  const span = (t, range) => range < 2e7 ? (t / 1e6).toFixed(range < 2e6 ? 3 : 1) + " ms"
                                         : (t / 1e9).toFixed(range < 2e9 ? 3 : range < 2e10 ? 1 : 0) + " s";
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
  const TIME = 110, SIDE = 350, SIDE_GAP = 44, LEAST_GAP = 170;
  let gap = 300;
  const x_of = (column) => TIME + 30 + column * gap;
  const lay_out = (width) => {
    gap = columns < 2 ? 300 : Math.max(LEAST_GAP, (width - TIME - 60 - SIDE) / (columns - 1));
  };
  const full_width = () => x_of(Math.max(columns - 1, 0)) + 30 + SIDE;
  const size = () => Math.min(13, Math.max(7, row_height * 0.6));

  const arrow = (layer, over, x1, y1, x2, y2, bad, label) => {
    const kind = bad ? " bad" : "";
    layer.append(svg("line", {class: "arrow" + kind, x1, y1, x2, y2}));
    const angle = Math.atan2(y2 - y1, x2 - x1), s = Math.min(8, row_height / 2 + 2);
    const at = (d, a) => (x2 - d * Math.cos(angle + a)) + "," + (y2 - d * Math.sin(angle + a));
    layer.append(svg("polygon", {class: "tip" + kind, points: x2 + "," + y2 + " " + at(s, 0.4) + " " + at(s, -0.4)}));
    if (label && row_height >= 11) {
      // On the line, near the sender.
      const from_left = x1 < x2, along = Math.min(22, Math.abs(x2 - x1) / 4);
      const y = y1 + (y2 - y1) * along / Math.abs(x2 - x1) + size() * 0.35;
      const wide = label.length * size() * 0.605 + 6, x = x1 + (from_left ? along : -along);
      over.append(svg("rect", {fill: "var(--panel)", x: from_left ? x - 3 : x - wide + 3, y: y - size() * 0.8, width: wide, height: size()}));
      over.append(svg("text", {class: kind.trim(), x, y, "font-size": size(), "text-anchor": from_left ? "start" : "end"}, label));
    }
  };
  // What a state is drawn with.
  const state_mark = (layer, e, y) => {
    const x = x_of(e[HOST]), last = e[HOST] === columns - 1 && columns > 1;
    layer.append(svg("rect", {x: x - 4, y: y - row_height / 2 + 1, width: 8, height: row_height - 2, rx: 2,
                              fill: "var(--s" + e[STATE] + ")"}));
    if (row_height >= 11) {
      layer.append(svg("text", {class: "halo", x: x + (last ? -9 : 9), y: y + size() * 0.35, "font-size": size(),
                                "text-anchor": last ? "end" : "start"}, log.state_names[e[STATE]]));
    }
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
        over.append(svg("circle", {cx: x_of(e[HOST]), cy: y, r: Math.min(4, row_height / 3), fill: "var(--ink)"}));
        if (row_height >= 11) {
          over.append(svg("text", {class: "halo" + (e[KIND] === TIMEWAIT ? " warn" : ""), x: x_of(e[HOST]) + (end ? -9 : 9),
                                   y: y + size() * 0.35, "font-size": size(), "text-anchor": end ? "end" : "start"}, text[e[WHAT]]));
        }
      }
      let side = text[e[RULE]];
      if (e[KIND] === WIRE) side = text[e[WHAT]] + " #" + e[ID] + " " + text[e[WHY]];
      if (e[KIND] === LOST) side = "lost" + (e[ID] ? " #" + e[ID] : "") + ": " + text[e[WHY]];
      if (row_height >= 11 && side) {
        over.append(svg("text", {class: e[KIND] === LOST ? "bad" : "soft", x: x_of(Math.max(columns - 1, 0)) + SIDE_GAP,
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
    head.append(svg("text", {class: "soft", x: TIME, y: 18, "text-anchor": "end", "font-size": 12}, "ms"));
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
      "line " + e[LINE] + "   " + ms(e[T]) + " ms   " + name(e[HOST]) + "   " + text[e[WHAT]] + (e[ID] ? " #" + e[ID] : "") + "   " + text[e[WORDS]],
      (text[e[WHY]] ? "because of " + text[e[WHY]] + "   " : "") + (text[e[RULE]] ? "rule " + text[e[RULE]] : ""),
      e[CONN] < 0 ? "" : "connection " + (e[CONN] + 1) + ": " + log.connections[e[CONN]],
    ];
    $("detail").textContent = e ? lines.filter((l) => l.trim()).join("\n") : "";
    draw();
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
  const H = 160, LEFT = 58, BELOW = 20, ABOVE = 20;
  const nice = (top) => {
    if (!(top > 0)) return 1;
    const power = Math.pow(10, Math.floor(Math.log10(top)));
    // Of numbers above one, half of it is a whole one too.
    return [1, 2, 4, 6, 8, 10].map((f) => f * power).find((v) => v >= top && (top <= 1 || (v / 2) % 1 === 0)) || top;
  };
  const time_ticks = () => {
    const raw = (range[1] - range[0]) / 5, power = Math.pow(10, Math.floor(Math.log10(raw)));
    const by = [1, 2, 5, 10].map((f) => f * power).find((v) => v >= raw), ticks = [];
    for (let t = Math.ceil(range[0] / by) * by; t <= range[1] && ticks.length < 12; t += by) ticks.push(t);
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
  const chart = (title, unit, draw_into, value_at, top, legend) => {
    const value = el("span", {class: "value"}), holder = el("div");
    const figure = el("figure", {}, el("figcaption", {}, el("span", {}, title), value), holder);
    if (legend) figure.append(legend);
    const paint_chart = () => {
      const width = Math.max(240, holder.clientWidth || figure.clientWidth - 20 || 500);
      const x = (t) => LEFT + (t - range[0]) / (range[1] - range[0]) * (width - LEFT - 6);
      const most = nice(top), y = (v) => ABOVE + (1 - v / most) * (H - ABOVE - BELOW);
      const s = svg("svg", {width, height: H, viewBox: "0 0 " + width + " " + H, role: "img", "aria-label": title});
      const id = "clip" + charts.indexOf(entry);
      const clip = svg("clipPath", {id});
      clip.append(svg("rect", {x: LEFT, y: 0, width: width - LEFT - 6, height: H - BELOW}));
      s.append(clip);
      const inside = svg("g", {"clip-path": "url(#" + id + ")"});
      for (const [from, to, label] of log.bands) {
        const width_of = Math.max(1.5, x(to) - x(from));
        for (const [top, height] of [[2, 13], [ABOVE, H - ABOVE - BELOW]]) {
          const band = svg("rect", {class: "faultband", x: x(from), y: top, width: width_of, height});
          band.append(svg("title", {}, label));
          inside.append(band);
        }
      }
      draw_into(inside, x, y);
      for (const [from, , label] of log.bands) {
        inside.append(svg("text", {class: "soft", x: Math.max(LEFT, x(from)) + 3, y: 12, "font-size": 10}, label));
      }
      s.append(inside);
      for (const v of most > 1 ? [0, most / 2, most] : [0, most]) {
        s.append(svg("line", {class: "axis", x1: LEFT, x2: width - 6, y1: y(v), y2: y(v)}));
        s.append(svg("text", {class: "soft", x: LEFT - 5, y: y(v) + 4, "text-anchor": "end", "font-size": 10.5}, number(v)));
      }
      for (const t of time_ticks()) {
        s.append(svg("text", {class: "soft", x: x(t), y: H - 5, "text-anchor": "middle", "font-size": 10.5}, span(t, range[1] - range[0])));
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
      s.addEventListener("pointerleave", () => { value.textContent = unit; drag = null; cross.setAttribute("x1", -9); cross.setAttribute("x2", -9); });
      s.addEventListener("pointerup", (event) => {
        const t = t_of(event), from = drag;
        drag = null;
        if (from !== null && Math.abs(x(t) - x(from)) > 5) return set_range(Math.min(from, t), Math.max(from, t));
        let low = 0, high = rows.length;  // the first event at or after it
        while (low < high) { const m = (low + high) >> 1; if (events[rows[m]][T] < t) low = m + 1; else high = m; }
        if (rows.length) pick(rows[Math.min(low, rows.length - 1)], "");
      });
      s.addEventListener("dblclick", () => set_range(log.range[0], Math.max(log.range[1], log.range[0] + 1)));
      value.textContent = unit;
      holder.replaceChildren(s);
    };
    const entry = {paint: paint_chart, mark: () => {}};
    charts.push(entry);
    $("charts").append(figure);
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
  for (const host of log.states) {
    const used = log.state_names.map((_, s) => s).filter((s) => host.points.some((p) => p[1][s] > 0));
    let top = 1;
    for (const [, counts] of host.points) top = Math.max(top, used.reduce((sum, s) => sum + counts[s], 0));
    const legend = el("div", {class: "legend"});
    for (const s of used) legend.append(el("span", {}, el("i", {style: "background:var(--s" + s + ")"}), log.state_names[s]));
    chart("states of " + host.name, "connections", (layer, x, y) => {
      const points = host.points;
      const start = Math.max(0, before(points, range[0]));
      const bars = used.map(() => "");
      for (let i = start; i < points.length && points[i][0] <= range[1]; ++i) {
        const until = i + 1 < points.length ? points[i + 1][0] : range[1];
        const x1 = Math.max(x(points[i][0]), x(range[0])).toFixed(2), x2 = Math.min(x(until), x(range[1])).toFixed(2);
        let below = 0;
        used.forEach((s, n) => {
          const count = points[i][1][s];
          if (count) bars[n] += "M" + x1 + " " + y(below).toFixed(2) + "H" + x2 + "V" + y(below + count).toFixed(2) + "H" + x1 + "Z";
          below += count;
        });
      }
      used.forEach((s, n) => layer.append(svg("path", {d: bars[n], fill: "var(--s" + s + ")"})));
    }, (t) => {
      const i = before(host.points, t);
      return i < 0 ? "" : used.filter((s) => host.points[i][1][s]).map((s) => host.points[i][1][s] + " " + log.state_names[s]).join(", ");
    }, top, legend);
  }
  for (const series of log.series) {
    let top = 0;
    for (const p of series.points) top = Math.max(top, p[1]);
    chart(series.name, series.unit, (layer, x, y) => {
      if (series.points.length) layer.append(svg("path", {class: "curve", d: steps(series.points, x, y, (p) => p[1])}));
    }, (t) => {
      const i = before(series.points, t);
      return i < 0 ? "" : number(series.points[i][1]) + " " + series.unit;
    }, top);
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
      const body = draw_rows(first, last, first);
      body.setAttribute("transform", "translate(0 26)");
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
