"use strict";
// Reading values off the charts, and sorting tables. The page is whole without it.
const tip = document.getElementById("tip");

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text !== null) made.textContent = text;
  made.append(...children);
  return made;
}

function showTip(x, y, ...content) {
  tip.replaceChildren(...content);
  const { width, height } = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth;
  const left = x + 16 + width > room ? x - 16 - width : x + 16;
  tip.style.left = `${Math.max(4, Math.min(left, room - width - 4))}px`;
  tip.style.top = `${Math.max(4, Math.min(y - height / 2, innerHeight - height - 4))}px`;
  tip.style.visibility = "visible";
}

const hideTip = () => (tip.style.visibility = "hidden");

function svgElement(svg, name, attributes) {
  const made = document.createElementNS(svg.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// The one of `items` for which `place` gives the number closest to x.
const nearest = (items, x, place) =>
  items.reduce((best, item) => (Math.abs(place(item) - x) < Math.abs(place(best) - x) ? item : best));

// A point is [place in x, place in y, x as text, value as text].

function readable(figure) {
  const script = figure.querySelector("script");
  const svg = figure.querySelector("svg");
  const { x: unit, series } = JSON.parse(script.textContent);
  const lines = series.filter((line) => line.points.length);
  if (!lines.length) return;
  const every = [...new Set(lines.flatMap((line) => line.points.map((point) => point[0])))];
  every.sort((a, b) => a - b);
  const marks = svgElement(svg, "g", {});
  svg.append(marks);
  svg.tabIndex = 0;
  let at = every.length - 1;

  function show(x, y) {
    const frame = svg.viewBox.baseVal;
    const box = svg.getBoundingClientRect();
    const near = lines.map((line) => ({ ...line, point: nearest(line.points, x, (point) => point[0]) }));
    const column = nearest(near, x, (line) => line.point[0]).point;
    let seen = near.filter((line) => Math.abs(line.point[0] - column[0]) < 1);
    if (seen.length > 8) {
      seen = y === null ? seen.slice(0, 8) : [nearest(seen, y, (line) => line.point[1])];
    }
    marks.replaceChildren(
      svgElement(svg, "line", { x1: column[0], x2: column[0], y1: 20, y2: frame.height - 36, class: "cursor" }),
      ...seen.map((line) => svgElement(svg, "circle", {
        cx: line.point[0], cy: line.point[1], r: 4.5, class: "spot", style: `fill:${line.colour}`,
      })),
    );
    const rows = seen.map((line) => {
      const dot = element("i", null);
      dot.style.background = line.colour;
      return element("span", null, element("span", null, dot, line.name), element("em", line.point[3]));
    });
    const scale = box.width / frame.width;
    const height = y === null ? frame.height / 2 : y;
    showTip(box.left + column[0] * scale, box.top + height * scale,
      element("b", `${unit} ${column[2]}`), ...rows);
  }

  function leave() {
    marks.replaceChildren();
    hideTip();
  }

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const scale = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    at = every.indexOf(nearest(every, x, (place) => place));
    show(x, (event.clientY - box.top) * scale);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    at = Math.max(0, Math.min(every.length - 1, at + move));
    show(every[at], null);
  });
}

document.querySelectorAll("figure:has(> script)").forEach(readable);

// Single things with a remark of their own: cells of a matrix, lines of many.
document.addEventListener("pointermove", (event) => {
  const target = event.target.closest("[data-tip]");
  document.querySelectorAll("g.on").forEach((group) => group !== target && group.classList.remove("on"));
  if (target) {
    if (target.tagName === "g" && !target.classList.contains("on")) {
      target.classList.add("on");
      target.parentNode.append(target);
    }
    showTip(event.clientX, event.clientY, element("div", target.dataset.tip));
  } else if (!event.target.closest("svg[tabindex]")) hideTip();
});

const collator = new Intl.Collator(undefined, { numeric: true });

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") === "descending"
        || (!head.hasAttribute("aria-sort") && !head.classList.contains("number"));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const missing = (text) => text === "" || text === "–" || text === "nan";
      const body = table.tBodies[0];
      const order = [...body.rows].sort((a, b) => {
        const [left, right] = [value(a), value(b)];
        if (missing(left) || missing(right)) return missing(left) - missing(right);
        const numbers = [Number(left), Number(right)];
        const less = numbers.some(Number.isNaN) ? collator.compare(left, right) : numbers[0] - numbers[1];
        return ascending ? less : -less;
      });
      body.append(...order);
    });
  });
}

document.querySelectorAll("table.sortable").forEach(sortable);
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((box) => (box.open = true)));
addEventListener("scroll", hideTip, { passive: true });
