/** `$(NAME)` as Kubernetes expands it in commands, arguments and values: `$$(NAME)` stays, unknown names stay. */
export const expand = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? '$' : Object.hasOwn(values, name) ? (values[name] ?? '') : whole,
  );
