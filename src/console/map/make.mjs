// Makes land.txt and countries.tsv again: npm install world-atlas@2 topojson-client i18n-iso-countries, then node make.mjs
//
// Natural Earth (public domain) says where land is and where countries lie, the Unicode CLDR of Node.js what they are called in English.
// Land is drawn as rows of dots, and a country as one point: no borders, because the law of several countries says how theirs may be drawn.
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";

const require = createRequire(process.cwd() + "/");
const { feature } = require("topojson-client");
const { numericToAlpha2, getAlpha2Codes } = require("i18n-iso-countries");

const WIDTH = 1000;
const STEP = 8;
const NORTH = 78;
const SOUTH = -56;

// Equal Earth (Šavrič, Patterson, Jenny 2018): areas are true, and it looks like a map.
const [A1, A2, A3, A4] = [1.340264, -0.081106, 0.000893, 0.003796];
const M = Math.sqrt(3) / 2;
const radians = (degrees) => (degrees * Math.PI) / 180;
const edge = equalEarth(180, 0)[0];
const scale = WIDTH / 2 / edge;
const top = equalEarth(0, NORTH)[1] * scale;
const bottom = equalEarth(0, SOUTH)[1] * scale;

function equalEarth(longitude, latitude) {
  const t = Math.asin(M * Math.sin(radians(latitude)));
  const t2 = t * t;
  const t6 = t2 * t2 * t2;
  return [(radians(longitude) * Math.cos(t)) / (M * (A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2))), t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2))];
}

function place(longitude, latitude) {
  const [x, y] = equalEarth(longitude, latitude);
  return [WIDTH / 2 + x * scale, top - y * scale];
}

const polygonsOf = (geometry) => (geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates);
const land = feature(require("world-atlas/land-110m.json"), "land");
const shapes = land.features.flatMap(({ geometry }) => polygonsOf(geometry)).map((rings) => rings.map((ring) => ring.map(([x, y]) => place(x, y))));

function inside([x, y], rings) {
  let is = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [[xi, yi], [xj, yj]] = [ring[i], ring[j]];
      if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
    }
  }
  return is;
}

const height = Math.ceil((top - bottom) / STEP) * STEP;
let path = "";
for (let y = STEP / 2; y < height; y += STEP) {
  let began = null;
  for (let x = STEP / 2; x <= WIDTH; x += STEP) {
    const on = x < WIDTH && shapes.some((rings) => inside([x, y], rings));
    if (on && began === null) began = x;
    if (!on && began !== null) {
      path += `M${began} ${y}h${x - STEP - began}`;
      began = null;
    }
  }
}
// A dash of no length cannot be drawn on a line of no length: a single dot gets a hair of one.
writeFileSync("land.txt", path.replaceAll("h0", "h.1") + "\n");

const middle = (ring) => {
  let [area, x, y] = [0, 0, 0];
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const cross = ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1];
    area += cross;
    x += (ring[j][0] + ring[i][0]) * cross;
    y += (ring[j][1] + ring[i][1]) * cross;
  }
  return { area: Math.abs(area), at: [x / (3 * area), y / (3 * area)] };
};
const points = new Map();
for (const { id, geometry } of feature(require("world-atlas/countries-50m.json"), "countries").features) {
  const code = id && numericToAlpha2(id);
  if (!code || !geometry) continue;
  const largest = polygonsOf(geometry).map(([ring]) => middle(ring)).sort((a, b) => b.area - a.area)[0];
  if (!points.has(code) || points.get(code).area < largest.area) points.set(code, largest);
}
// Too small for the source, or parts of another country in it.
const small = {
  BQ: [-68.3, 12.2], BV: [3.4, -54.4], CC: [96.8, -12.2], CX: [105.6, -10.5], GF: [-53.1, 4], GI: [-5.4, 36.1], GP: [-61.6, 16.2], MQ: [-61, 14.6],
  RE: [55.5, -21.1], SJ: [16, 77.5], TK: [-171.8, -9.2], TV: [179.2, -8.5], UM: [-160, 5.9], XK: [20.9, 42.6], YT: [45.2, -12.8],
};
for (const [code, at] of Object.entries(small)) points.set(code, { at });
const names = new Intl.DisplayNames(["en"], { type: "region", style: "long" });
const lines = Object.keys(getAlpha2Codes()).filter((code) => names.of(code) !== code).sort().map((code) => {
  const [x, y] = points.has(code) ? place(...points.get(code).at).map(Math.round) : ["", ""];
  return [code, names.of(code), x, y].join("\t");
});
writeFileSync("countries.tsv", lines.join("\n") + "\n");
console.log({ height, land: path.length, countries: lines.length, without: lines.filter((line) => line.endsWith("\t")).length });
