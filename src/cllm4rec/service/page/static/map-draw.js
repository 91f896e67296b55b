// Drawing of the map on a canvas: points, marks and as many titles as have room.

const FONT = '"Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif';

/** The style sheet's colours; read anew when the theme changes. */
export function themeColours(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    paper: colour("paper"),
    ink: colour("ink"),
    muted: colour("muted"),
    accent: colour("accent"),
    other: colour("other"),
    categories: [0, 1, 2, 3, 4, 5, 6, 7].map((place) => colour(`c${place}`)),
    numbers: [0, 1, 2, 3, 4, 5].map((place) => colour(`n${place}`)),
  };
}

/**
 * Draws everything.
 *
 * @param canvas  its size in CSS pixels is the view's
 * @param scene   {view, map, colours, colourOf: Int8Array, highlighted: place → bool or null,
 *                 history: [place], recommended: [place], selected, hovered, aim: bool}
 */
export function draw(canvas, scene) {
  const { view, colours } = scene;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(view.width * ratio);
  canvas.height = Math.round(view.height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, view.width, view.height);
  const points = scene.map.ids.map((_, item) => view.point(placeOf(scene.map, item)));
  drawPoints(pen, scene, points);
  const taken = [];
  drawHistory(pen, scene, points, taken);
  drawRecommended(pen, scene, points, taken);
  drawRing(pen, scene, points, scene.hovered, colours.muted);
  drawRing(pen, scene, points, scene.selected, colours.ink);
  drawTitles(pen, scene, points, taken);
  if (scene.aim) drawAim(pen, view, colours);
}

export function placeOf(map, item) {
  return [map.x[item] / 10000, map.y[item] / 10000];
}

export function inside(view, [x, y], margin = 10) {
  return x > -margin && y > -margin && x < view.width + margin && y < view.height + margin;
}

function radiusOf(scene) {
  const crowd = Math.sqrt((scene.view.width * scene.view.height) / Math.max(scene.map.ids.length, 1));
  return Math.min(5.5, Math.max(1.2, crowd / 7)) * Math.min(1.8, scene.view.zoom ** 0.25);
}

function drawPoints(pen, scene, points) {
  const { view, colours, colourOf, highlighted } = scene;
  const radius = radiusOf(scene);
  const groups = new Map();
  points.forEach((point, item) => {
    if (!inside(view, point)) return;
    const faded = highlighted && !highlighted(item);
    const key = `${faded ? 0 : 1}:${colourOf.codes[item]}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(point);
  });
  for (const [key, group] of [...groups].sort()) {
    const code = Number(key.slice(2));
    pen.globalAlpha = key[0] === "1" ? 0.85 : 0.13;
    pen.fillStyle = code < 0 ? colours.other : colourOf.palette[code];
    pen.beginPath();
    for (const [x, y] of group) {
      pen.moveTo(x + radius, y);
      pen.arc(x, y, radius, 0, 2 * Math.PI);
    }
    pen.fill();
  }
  pen.globalAlpha = 1;
}

function drawHistory(pen, { view, colours, history }, points, taken) {
  for (const item of history) {
    const [x, y] = points[item];
    if (!inside(view, [x, y])) continue;
    pen.beginPath();
    pen.moveTo(x, y - 7);
    pen.lineTo(x + 7, y);
    pen.lineTo(x, y + 7);
    pen.lineTo(x - 7, y);
    pen.closePath();
    pen.fillStyle = colours.ink;
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 2;
    pen.stroke();
    pen.fill();
    taken.push([x - 8, y - 8, x + 8, y + 8]);
  }
}

function drawRecommended(pen, { view, colours, recommended }, points, taken) {
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = `600 11px ${FONT}`;
  // The best is drawn last, on top.
  [...recommended.entries()].reverse().forEach(([place, item]) => {
    if (item < 0 || !inside(view, points[item])) return;
    const [x, y] = points[item];
    pen.beginPath();
    pen.arc(x, y, 9, 0, 2 * Math.PI);
    pen.fillStyle = colours.accent;
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 2;
    pen.fill();
    pen.stroke();
    pen.fillStyle = colours.paper;
    pen.fillText(String(place + 1), x, y + 0.5);
    taken.push([x - 10, y - 10, x + 10, y + 10]);
  });
}

function drawRing(pen, scene, points, item, colour) {
  if (item === null || item < 0 || !inside(scene.view, points[item])) return;
  const [x, y] = points[item];
  pen.beginPath();
  pen.arc(x, y, 13, 0, 2 * Math.PI);
  pen.strokeStyle = scene.colours.paper;
  pen.lineWidth = 5;
  pen.stroke();
  pen.strokeStyle = colour;
  pen.lineWidth = 2.5;
  pen.stroke();
}

function drawTitles(pen, scene, points, taken) {
  const { view, map, colours, highlighted } = scene;
  const marked = [scene.selected, ...scene.recommended, ...scene.history];
  const first = marked.filter((item) => item !== null && item >= 0);
  const room = Math.round(((view.width * view.height) / 26000) * Math.min(3, view.zoom ** 0.5));
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  let drawn = 0;
  const seen = new Set();
  // The map's items come best known first: those get their titles where there is room.
  for (let at = 0; at < first.length + map.ids.length && drawn < room; at++) {
    const isMarked = at < first.length;
    const item = isMarked ? first[at] : at - first.length;
    if (seen.has(item) || !inside(view, points[item], 0)) continue;
    seen.add(item);
    if (!isMarked && highlighted && !highlighted(item)) continue;
    pen.font = `${isMarked ? 600 : 400} 12px ${FONT}`;
    const title = shortened(map.titles[item]);
    const width = pen.measureText(title).width;
    const gap = item === scene.selected ? 18 : isMarked ? 13 : 7;
    const [x, y] = points[item];
    const left = x + gap + width > view.width - 4 ? x - gap - width : x + gap;
    const box = [left - 2, y - 8, left + width + 2, y + 8];
    if (taken.some((other) => overlap(box, other))) continue;
    taken.push(box);
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 3.5;
    pen.strokeText(title, left, y);
    pen.fillStyle = isMarked ? colours.ink : colours.muted;
    pen.fillText(title, left, y);
    drawn += 1;
  }
}

function drawAim(pen, view, colours) {
  const [x, y] = [view.width / 2, view.height / 2];
  pen.strokeStyle = colours.ink;
  pen.lineWidth = 1.5;
  pen.beginPath();
  for (const [right, down] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    pen.moveTo(x + 5 * right, y + 5 * down);
    pen.lineTo(x + 12 * right, y + 12 * down);
  }
  pen.stroke();
}

function shortened(title) {
  return title.length > 34 ? `${title.slice(0, 32).trimEnd()}…` : title;
}

function overlap(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
