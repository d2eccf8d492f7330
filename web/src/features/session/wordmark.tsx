/** The sound hole of a violin and the product's name. */
export const Wordmark = ({ name }: { name: string }) => (
  <span className="flex items-center gap-2 text-[0.9375rem] font-semibold tracking-tight">
    <svg viewBox="0 0 32 32" aria-hidden="true" className="size-7">
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <g className="fill-none stroke-on-accent" strokeWidth="2.6" strokeLinecap="round">
        <path d="M19.500 6.500c-4.200-.6-6 2-5.300 5.200l2.800 8.600c.8 3.200-1 5.800-5.200 5.200" />
      </g>
      <circle cx="20.200" cy="9" r="1.900" className="fill-on-accent" />
      <circle cx="11.300" cy="23" r="1.900" className="fill-on-accent" />
    </svg>
    {name}
  </span>
);
