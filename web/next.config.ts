import { join } from 'node:path';
import type { NextConfig } from 'next';
import createNextIntlPlugin from 'next-intl/plugin';

const repository = join(import.meta.dirname, '..');

const config: NextConfig = {
  output: 'standalone',
  // The traced files keep the layout of the repository: `.next/standalone/web/server.js`.
  outputFileTracingRoot: repository,
  turbopack: { root: repository },
  transpilePackages: ['@luthier/ui'],
  poweredByHeader: false,
  images: { unoptimized: true },
  productionBrowserSourceMaps: false,
};

export default createNextIntlPlugin('./src/lib/i18n-request.ts')(config);
