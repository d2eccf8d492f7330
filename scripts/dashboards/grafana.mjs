// Makes Grafana's dashboards out of short descriptions: every panel is its queries and what they are in, and panels take
// their places one after the other. Nothing of an installation is in the result: the source of data is a variable.

/**
 * @typedef {{ expr: string, legend?: string, dashed?: boolean }} Query
 * @typedef {{ type: 'stat' | 'timeseries' | 'table', title: string, description?: string, width: number, height?: number,
 *   unit?: string, max?: number, thresholds?: [number, string][], queries: Query[], columns?: Record<string, string> }} Panel
 * @typedef {{ title: string, panels: Panel[] }} Row
 */

const SCHEMA_VERSION = 42;
const SOURCE = { type: 'prometheus', uid: '${datasource}' };
const COLUMNS = 24;

/** @param {string} expr @param {string} [legend] @param {{ dashed?: boolean }} [style] @returns {Query} */
export const query = (expr, legend, style) => ({ expr, legend, ...style });

/** @param {string} title @param {Omit<Panel, 'type' | 'title' | 'queries' | 'width'> & { width?: number }} options @param {...Query} queries @returns {Panel} */
export const chart = (title, options, ...queries) => ({ type: 'timeseries', title, width: 12, ...options, queries });
/** @param {string} title @param {Omit<Panel, 'type' | 'title' | 'queries' | 'width'> & { width?: number }} options @param {...Query} queries @returns {Panel} */
export const number = (title, options, ...queries) => ({
  type: 'stat',
  title,
  width: 4,
  height: 4,
  ...options,
  queries,
});
/** @param {string} title @param {Omit<Panel, 'type' | 'title' | 'queries' | 'width'> & { width?: number }} options @param {...Query} queries @returns {Panel} */
export const table = (title, options, ...queries) => ({
  type: 'table',
  title,
  width: 24,
  height: 6,
  ...options,
  queries,
});

/** @param {{ uid: string, title: string, description: string, variables?: object[], annotations?: object[], rows: Row[] }} described */
export function dashboard({ uid, title, description, variables = [], annotations = [], rows }) {
  return {
    uid,
    title,
    description,
    tags: ['luthier'],
    schemaVersion: SCHEMA_VERSION,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    timezone: '',
    links: [
      { type: 'dashboards', tags: ['luthier'], title: 'Luthier', asDropdown: true, includeVars: false, keepTime: true },
    ],
    annotations: { list: annotations },
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {}, hide: 0 },
        ...variables,
      ],
    },
    panels: placed(rows),
  };
}

/** A variable of the values that a label has. */
export const valuesOf = (name, label, metric) => ({
  ...{ name, label, type: 'query', datasource: SOURCE, refresh: 2, sort: 1, current: {}, hide: 0 },
  ...{ includeAll: false, multi: false, definition: `label_values(${metric}, ${name})` },
  query: { query: `label_values(${metric}, ${name})`, refId: 'values' },
});

/** A mark on every panel where the expression is not 0. */
export const mark = (name, expr, text) => ({
  ...{ name, enable: true, hide: false, iconColor: 'orange', datasource: SOURCE },
  ...{ expr, step: '15s', titleFormat: text, useValueForTime: false },
});

/** @param {Row[]} rows */
function placed(rows) {
  const panels = [];
  let y = 0;
  for (const { title, panels: described } of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let rowHeight = 0;
    for (const panel of described) {
      const { width, height = 8 } = panel;
      if (x + width > COLUMNS) [x, y, rowHeight] = [0, y + rowHeight, 0];
      panels.push(panelOf(panel, panels.length + 1, { x, y, w: width, h: height }));
      x += width;
      rowHeight = Math.max(rowHeight, height);
    }
    y += rowHeight;
  }
  return panels;
}

/** @param {Panel} panel */
function panelOf({ type, title, description, unit = 'short', max, thresholds, queries, columns }, id, gridPos) {
  return {
    ...{ id, type, title, gridPos, datasource: SOURCE },
    ...(description && { description }),
    targets: queries.map(({ expr, legend }, at) => ({
      ...{ refId: String.fromCharCode(65 + at), datasource: SOURCE, expr, legendFormat: legend ?? '__auto' },
      ...(type === 'timeseries' ? { range: true } : { instant: true, range: false }),
      ...(type === 'table' && { format: 'table' }),
    })),
    fieldConfig: {
      defaults: {
        ...{ unit, ...(max !== undefined && { min: 0, max }) },
        thresholds: {
          mode: 'absolute',
          steps: [{ color: 'green', value: null }, ...(thresholds ?? []).map(([value, color]) => ({ color, value }))],
        },
        ...(type === 'timeseries' && {
          custom: { lineWidth: 1, fillOpacity: 8, showPoints: 'never', spanNulls: 60_000 },
        }),
      },
      overrides: queries.flatMap(({ legend, dashed }) => (dashed ? [dashedLine(legend)] : [])),
    },
    ...optionsOf(type, columns),
  };
}

/** A line that is a bound and not a measure. */
const dashedLine = (legend) => ({
  matcher: { id: 'byRegexp', options: `/^${legend.split(' ')[0]}/` },
  properties: [
    { id: 'custom.lineStyle', value: { fill: 'dash', dash: [8, 6] } },
    { id: 'custom.fillOpacity', value: 0 },
  ],
});

/** @param {Panel['type']} type @param {Record<string, string>} [columns] labels to show in their order, by title */
function optionsOf(type, columns = {}) {
  if (type === 'timeseries')
    return {
      options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    };
  if (type === 'stat') {
    const reduceOptions = { calcs: ['lastNotNull'], fields: '', values: false };
    return { options: { reduceOptions, colorMode: 'value', graphMode: 'area', textMode: 'auto' } };
  }
  const names = Object.keys(columns);
  return {
    options: { showHeader: true },
    transformations: [
      {
        id: 'organize',
        options: {
          indexByName: Object.fromEntries(names.map((name, at) => [name, at])),
          renameByName: columns,
          includeByName: Object.fromEntries(names.map((name) => [name, true])),
        },
      },
    ],
  };
}
