// Mouse, touch and keys on the map's canvas, as movements of its view.

const STEP = 60; // pixels of an arrow key

/**
 * @param canvas  takes the focus
 * @param view    what is moved
 * @param on      {moved(), hover(point or null), choose(point)}
 */
export function listen(canvas, view, on) {
  const fingers = new Map();
  let travelled = 0;

  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const moved = () => {
    // Until it is zoomed, the map lets one finger scroll the page.
    canvas.classList.toggle("zoomed", view.zoom > 1.01);
    on.moved();
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, point(event));
    if (fingers.size === 1) travelled = 0;
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = point(event);
    const before = fingers.get(event.pointerId);
    if (!before) return on.hover(now);
    const [right, down] = [now[0] - before[0], now[1] - before[1]];
    travelled += Math.hypot(right, down);
    if (fingers.size === 1) {
      view.pan(right, down);
    } else {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
      const is = Math.hypot(now[0] - other[0], now[1] - other[1]);
      view.pan(right / 2, down / 2);
      if (was > 0) view.zoomBy(is / was, [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    }
    fingers.set(event.pointerId, now);
    moved();
  });

  const lift = (event) => {
    const alone = fingers.size === 1 && fingers.delete(event.pointerId);
    fingers.delete(event.pointerId);
    if (alone && event.type === "pointerup" && travelled < 6) on.choose(point(event));
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => on.hover(null));

  canvas.addEventListener(
    "wheel",
    (event) => {
      // The wheel scrolls the page unless the map has the focus or Ctrl is held (as in a pinch).
      if (!event.ctrlKey && document.activeElement !== canvas) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      view.zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.002)), point(event));
      moved();
    },
    { passive: false },
  );
  canvas.addEventListener("dblclick", (event) => {
    view.zoomBy(2, point(event));
    moved();
  });

  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => view.pan(STEP, 0),
      ArrowRight: () => view.pan(-STEP, 0),
      ArrowUp: () => view.pan(0, STEP),
      ArrowDown: () => view.pan(0, -STEP),
      "+": () => view.zoomBy(1.5),
      "=": () => view.zoomBy(1.5),
      "-": () => view.zoomBy(1 / 1.5),
      0: () => view.whole(),
      Enter: () => on.choose([view.width / 2, view.height / 2]),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    moved();
  });
}
