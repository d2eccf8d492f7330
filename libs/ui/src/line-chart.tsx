'use client';
import { useEffect, useMemo, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

interface LineSeries {
  name: string;
  /** Points by rising x. */
  points: readonly (readonly [x: number, y: number])[];
  /** Only the points, for values that come seldom. */
  dots?: boolean;
}

export interface LineChartProps {
  label: string;
  xName: string;
  series: readonly LineSeries[];
  formatX: (value: number) => string;
  formatY: (value: number) => string;
  /** The last x of the axis, so that a curve grows into its place. */
  xEnd?: number;
  height?: number;
}

const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One row of numbers a series over all x there are; null where a series has no point. */
function aligned(series: readonly LineSeries[]): uPlot.AlignedData {
  const xs = [...new Set(series.flatMap((s) => s.points.map(([x]) => x)))].sort((a, b) => a - b);
  const rows = series.map((s) => {
    const at = new Map(s.points);
    return xs.map((x) => at.get(x) ?? null);
  });
  return [xs, ...rows];
}

/** While nothing is pointed at, the legend says the newest value of each curve. */
function showNewest(chart: uPlot): void {
  if ((chart.cursor.left ?? -1) >= 0 || chart.data[0].length === 0) return;
  const idxs = chart.data.map((row) => Array.from(row).findLastIndex((value) => value !== null));
  chart.setLegend({ idxs }, false);
}

type Latest = Pick<LineChartProps, 'formatX' | 'formatY' | 'xEnd'>;

function optionsOf(
  names: readonly { name: string; dots: boolean }[],
  xName: string,
  latest: () => Latest,
  size: { width: number; height: number },
): uPlot.Options {
  const ink = colour('--color-muted');
  const grid = { stroke: colour('--color-line'), width: 1 };
  const strokes = [colour('--color-accent'), colour('--color-chart-4')];
  const axis = { stroke: ink, grid, ticks: { show: false }, font: '11px system-ui' };
  return {
    ...size,
    padding: [8, 16, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    legend: { live: true },
    hooks: { setCursor: [showNewest] },
    scales: {
      x: { time: false, range: (_, min, max) => [Math.min(min, 0), Math.max(max, latest().xEnd ?? 1)] },
      y: { range: (_, min, max) => [Math.min(0, min), max > 0 ? max * 1.08 : 1] },
    },
    axes: [
      { ...axis, size: 28, values: (_, ticks) => ticks.map((v) => latest().formatX(v)) },
      { ...axis, size: 44, values: (_, ticks) => ticks.map((v) => latest().formatY(v)) },
    ],
    series: [
      { label: xName, value: (_, v: number | null) => (v === null ? '–' : latest().formatX(v)) },
      ...names.map(({ name, dots }, index) => ({
        label: name,
        stroke: strokes[index % strokes.length] ?? ink,
        width: dots ? 0 : 1.75,
        spanGaps: true,
        points: { show: dots, size: 7, fill: strokes[index % strokes.length] ?? ink },
        value: (_: uPlot, v: number | null) => (v === null ? '–' : latest().formatY(v)),
      })),
    ],
  };
}

/** Curves over steps. New points are drawn into the same chart; it follows its box and the colour scheme. */
export function LineChart({ label, xName, series, formatX, formatY, xEnd, height = 260 }: LineChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const latest = useRef<Latest>({ formatX, formatY });
  const data = useMemo(() => aligned(series), [series]);
  const shape = JSON.stringify(series.map(({ name, dots = false }) => ({ name, dots })));
  const current = useRef(data);

  useEffect(() => {
    latest.current = { formatX, formatY, ...(xEnd !== undefined && { xEnd }) };
    current.current = data;
    chart.current?.setData(data);
    if (chart.current) showNewest(chart.current);
  }, [data, formatX, formatY, xEnd]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const names = JSON.parse(shape) as { name: string; dots: boolean }[];
    const draw = (): void => {
      chart.current?.destroy();
      const size = { width: element.clientWidth, height };
      chart.current = new uPlot(
        optionsOf(names, xName, () => latest.current, size),
        current.current,
        element,
      );
      showNewest(chart.current);
    };
    draw();
    const resized = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener('change', draw);
      chart.current?.destroy();
      chart.current = null;
    };
  }, [shape, xName, height]);

  return <div ref={box} role="img" aria-label={label} className="line-chart min-w-0 overflow-hidden" />;
}
