import { isMap, isScalar, parseDocument } from 'yaml';

/**
 * The chart's README with a row for every value that `values.yaml` describes by `# --`. A value without a description is
 * one of a group, whose values have theirs.
 * @param {string} values text of values.yaml
 * @throws Error that names a value which neither it nor its group describes.
 */
export function chartReadme(values) {
  const rows = rowsOf(parseDocument(values).contents, []);
  return `# Luthier's Helm chart

Installs the platform: its services, the dashboard, NATS and Postgres unless you bring your own, and a place for runs.
[How to install it](../../docs/guides/install.en.md), [what it makes and who may speak to whom](../../docs/reference/chart.md).
\`ci/\` has values for one machine without a GPU, a GPU server, high availability, external services, a site without a way
out, Kueue and OpenShift. Values that there are not are refused. This page is generated from \`values.yaml\`.

| value | default | meaning |
| --- | --- | --- |
${rows.map(({ path, value, meaning }) => `| \`${path}\` | ${value} | ${meaning} |`).join('\n')}
`;
}

function rowsOf(map, above) {
  return map.items.flatMap(({ key, value }, i) => {
    const path = [...above, key.value];
    // Before the first of a map, YAML gives the comment to the map.
    const comment = [i === 0 ? map.commentBefore : undefined, key.commentBefore].filter(Boolean).join('\n');
    const meaning = [...comment.matchAll(/^ -- (.*)$/gm)].map(([, line]) => line).join(' ');
    if (meaning !== '') return [{ path: path.join('.'), value: shown(value), meaning: meaning.replaceAll('|', '\\|') }];
    if (isMap(value) && value.items.length > 0) return rowsOf(value, path);
    throw new Error(`charts/luthier/values.yaml: ${path.join('.')} has no description (# --)`);
  });
}

const SHOWN_CHARACTERS = 60;

function shown(node) {
  const text = JSON.stringify(isScalar(node) ? node.value : node.toJSON());
  return text.length > SHOWN_CHARACTERS ? 'see values.yaml' : `\`${text}\``;
}
