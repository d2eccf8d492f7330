export interface SkeletonProps {
  /** Number of grey lines. */
  lines?: number;
  /** What is being loaded, for screen readers. */
  label: string;
}

const WIDTHS = ['w-11/12', 'w-3/4', 'w-5/6', 'w-2/3'] as const;

export function Skeleton({ lines = 3, label }: SkeletonProps) {
  return (
    <div role="status" aria-label={label} className="flex animate-pulse flex-col gap-3 py-2 motion-reduce:animate-none">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className={`h-4 rounded bg-sunken ${WIDTHS[index % WIDTHS.length] ?? ''}`} />
      ))}
    </div>
  );
}
