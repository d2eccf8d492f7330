// A dashboard as an HTML page, from the answers to its queries.

/**
 * @typedef {{ metric: Record<string, string>, values: [number, string][] }} Series
 * @typedef {{ fromMs: number, toMs: number, results: Record<string, Series[]> }} Answers
 */

const COLUMN_PX = 56;
const ROW_PX = 30;
const GAP_PX = 6;
const TITLE_PX = 22;
const LEGEND_LINE_PX = 15;
const LEGEND_LINES = 4;
const AXIS_PX = 62;
const COLOURS = [
  '#1f77b4',
  '#ff7f0e',
  '#2ca02c',
  '#d62728',
  '#9467bd',
  '#8c564b',
  '#e377c2',
  '#17becf',
  '#bcbd22',
  '#7f7f7f',
];

const escaped = (text) => String(text).replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** @param {any} dashboard as Grafana reads it @param {Answers} answers */
export function pageOf({ uid, title, panels }, answers) {
  const height = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * ROW_PX;
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 16px; background: #f4f5f7; font: 12px sans-serif; color: #24292e; }
    h1 { font-size: 18px; margin: 0 0 12px; }
    main { position: relative; height: ${height}px; }
    section { position: absolute; box-sizing: border-box; background: #fff; border: 1px solid #dfe1e5; border-radius: 3px; padding: 4px 8px; overflow: hidden; }
    section.row { background: none; border: none; font-weight: bold; font-size: 14px; padding-left: 0; }
    h2 { font-size: 12px; margin: 0; height: ${TITLE_PX}px; line-height: ${TITLE_PX}px; }
    .figures { display: flex; flex-wrap: wrap; gap: 2px 28px; font-size: 24px; color: #2ca02c; }
    .figures small { display: block; font-size: 11px; color: #586069; }
    .legend { display: flex; flex-wrap: wrap; gap: 0 12px; font-size: 10px; line-height: ${LEGEND_LINE_PX}px; }
    table { border-collapse: collapse; font-size: 11px; } td, th { text-align: left; padding: 2px 18px 2px 0; }
  </style><h1>${escaped(title)}</h1><main>${panels.map((panel) => drawn(uid, panel, answers)).join('')}</main>`;
}

function drawn(uid, panel, { fromMs, toMs, results }) {
  const { x, y, w, h } = panel.gridPos;
  const width = w * COLUMN_PX - GAP_PX;
  const height = h * ROW_PX - GAP_PX;
  const place = `left:${x * COLUMN_PX}px;top:${y * ROW_PX}px;width:${width}px;height:${height}px`;
  if (panel.type === 'row') return `<section class="row" style="${place}">${escaped(panel.title)}</section>`;
  const lines = panel.targets.flatMap(({ legendFormat }, at) =>
    (results[`${uid} ${panel.id} ${at}`] ?? []).map(({ metric, values }) => ({
      ...{ metric, legend: legendOf(legendFormat, metric), target: at },
      points: values.map(([time, value]) => [time * 1000, Number(value)]).filter(([, value]) => Number.isFinite(value)),
    })),
  );
  const shown = lines.filter(({ points }) => points.length > 0);
  const { unit, max } = panel.fieldConfig.defaults;
  const dashed = panel.fieldConfig.overrides.map(({ matcher }) => new RegExp(matcher.options.slice(1, -1)));
  const inside = {
    stat: () => figures(shown, unit),
    table: () => tableOf(panel, shown, unit),
    timeseries: () =>
      curves(shown, { width: width - 18, height: height - TITLE_PX - 8, unit, max, dashed, fromMs, toMs }),
  }[panel.type]();
  return `<section style="${place}"><h2>${escaped(panel.title)}</h2>${inside}</section>`;
}

const legendOf = (format, metric) =>
  format === '__auto'
    ? Object.values(metric).join(' ')
    : format.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '').replace(/[ /]+$/, '');

const lastOf = ({ points }) => points.at(-1)[1];

const figures = (lines, unit) =>
  `<div class="figures">${lines
    .map(
      (line) =>
        `<span>${formatted(lastOf(line), unit)}<small>${lines.length > 1 ? escaped(line.legend) : ''}</small></span>`,
    )
    .join('')}</div>`;

function tableOf(panel, lines, unit) {
  const columns = Object.entries(panel.transformations[0].options.renameByName);
  const cell = (line, label) => (label === 'Value' ? formatted(lastOf(line), unit) : escaped(line.metric[label] ?? ''));
  const rows = lines.map((line) => `<tr>${columns.map(([label]) => `<td>${cell(line, label)}</td>`).join('')}</tr>`);
  return `<table><tr>${columns.map(([, title]) => `<th>${escaped(title)}</th>`).join('')}</tr>${rows.join('')}</table>`;
}

function curves(lines, { width, height, unit, max, dashed, fromMs, toMs }) {
  const plotHeight = height - LEGEND_LINE_PX * LEGEND_LINES - 16;
  const values = lines.flatMap(({ points }) => points.map(([, value]) => value));
  const least = max === undefined ? Math.min(...values) : 0;
  const top = max ?? Math.max(...values);
  const low = least > 0 && (least < top / 2 || least === top) ? 0 : least;
  const high = top === low ? low + 1 : top;
  const atX = (time) => AXIS_PX + ((time - fromMs) / (toMs - fromMs)) * (width - AXIS_PX);
  const atY = (value) => plotHeight - ((value - low) / (high - low)) * (plotHeight - 10);
  const ticks = [0, 0.5, 1].map((share) => low + share * (high - low));
  const grid = ticks.map(
    (tick) =>
      `<line x1="${AXIS_PX}" x2="${width}" y1="${atY(tick)}" y2="${atY(tick)}" stroke="#e6e8eb"/>` +
      `<text x="${AXIS_PX - 6}" y="${atY(tick) + 3}" text-anchor="end">${formatted(tick, unit)}</text>`,
  );
  const times = [fromMs, (fromMs + toMs) / 2, toMs].map((time, at) => {
    const anchor = ['start', 'middle', 'end'][at];
    return `<text x="${atX(time)}" y="${plotHeight + 13}" text-anchor="${anchor}">${new Date(time).toISOString().slice(11, 19)}</text>`;
  });
  const paths = lines.map(({ points, legend }, at) => {
    const path = points.map(
      ([time, value], i) => `${i === 0 ? 'M' : 'L'}${atX(time).toFixed(1)} ${atY(value).toFixed(1)}`,
    );
    const dash = dashed.some((pattern) => pattern.test(legend)) ? ' stroke-dasharray="7 5"' : '';
    return `<path d="${path.join('')}" fill="none" stroke="${colourOf(at)}" stroke-width="1.5"${dash}/>`;
  });
  const names = lines.map(({ legend }, at) => `<span><b style="color:${colourOf(at)}">―</b> ${escaped(legend)}</span>`);
  return `<svg width="${width}" height="${plotHeight + 16}" font-size="10" fill="#586069">${[...grid, ...times, ...paths].join('')}</svg>
    <div class="legend">${names.join('')}</div>`;
}

const colourOf = (at) => COLOURS[at % COLOURS.length];

/** @param {number} value @param {string} unit of Grafana */
function formatted(value, unit) {
  switch (unit) {
    case 'bytes':
      return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
    case 'Bps':
      return `${scaled(value, 1000, ['B', 'kB', 'MB', 'GB'])}/s`;
    case 'hertz':
      return scaled(value, 1000, ['Hz', 'kHz', 'MHz', 'GHz']);
    case 'percentunit':
      return `${(value * 100).toFixed(value < 0.1 && value > 0 ? 1 : 0)} %`;
    case 's':
      return value !== 0 && Math.abs(value) < 1
        ? `${(value * 1000).toFixed(1)} ms`
        : `${value.toFixed(value < 10 ? 2 : 0)} s`;
    case 'celsius':
      return `${value.toFixed(0)} °C`;
    case 'watt':
      return `${value.toFixed(0)} W`;
    case 'sci':
      return value.toExponential(1);
    case 'reqps':
    case 'ops':
      return `${value.toFixed(2)}/s`;
    default:
      return Number.isInteger(value) || value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
  }
}

function scaled(value, step, names) {
  const power =
    value === 0 ? 0 : Math.max(0, Math.min(names.length - 1, Math.floor(Math.log(Math.abs(value)) / Math.log(step))));
  return `${(value / step ** power).toFixed(power === 0 ? 0 : 1)} ${names[power]}`;
}
