// What part of the map is seen: places of the map ↔ points of the canvas.

const CLOSEST = 60; // times the whole map's scale
const MARGIN = 28;

/** The window onto the map; places are in map units (the map is one wide), points in CSS pixels. */
export class View {
  constructor() {
    this.width = this.height = 1;
    this.bounds = { low: [0, 0], high: [1, 1] };
    this.zoom = 1;
    this.centre = [0.5, 0.5];
  }

  /** The canvas or the map has these sizes now. */
  resize(width, height, bounds = this.bounds) {
    Object.assign(this, { width, height, bounds });
    this.#keepInside();
  }

  whole() {
    const { low, high } = this.bounds;
    this.zoom = 1;
    this.centre = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2];
  }

  /** Pixels per map unit. */
  get scale() {
    const { low, high } = this.bounds;
    const fit = Math.min(
      (this.width - 2 * MARGIN) / (high[0] - low[0]),
      (this.height - 2 * MARGIN) / (high[1] - low[1]),
    );
    return Math.max(1, fit) * this.zoom;
  }

  point(place) {
    return [
      (place[0] - this.centre[0]) * this.scale + this.width / 2,
      (place[1] - this.centre[1]) * this.scale + this.height / 2,
    ];
  }

  place(point) {
    return [
      (point[0] - this.width / 2) / this.scale + this.centre[0],
      (point[1] - this.height / 2) / this.scale + this.centre[1],
    ];
  }

  /** Moves the map by pixels. */
  pan(right, down) {
    this.centre = [this.centre[0] - right / this.scale, this.centre[1] - down / this.scale];
    this.#keepInside();
  }

  /** Zooms so that what is under `point` stays there. */
  zoomBy(factor, point = [this.width / 2, this.height / 2]) {
    const before = this.place(point);
    this.zoom = Math.min(CLOSEST, Math.max(1, this.zoom * factor));
    const after = this.place(point);
    this.centre = [
      this.centre[0] + before[0] - after[0],
      this.centre[1] + before[1] - after[1],
    ];
    this.#keepInside();
  }

  lookAt(place, zoom) {
    this.zoom = Math.min(CLOSEST, Math.max(1, zoom));
    this.centre = [...place];
    this.#keepInside();
  }

  #keepInside() {
    const { low, high } = this.bounds;
    if (this.zoom <= 1) return this.whole();
    // The closer one looks, the nearer to the map's edge the middle may come.
    const freedom = Math.min(1, (this.zoom - 1) / 1.5);
    this.centre = this.centre.map((value, axis) => {
      const middle = (low[axis] + high[axis]) / 2;
      const reach = ((high[axis] - low[axis]) / 2) * freedom;
      return Math.min(middle + reach, Math.max(middle - reach, value));
    });
  }
}
