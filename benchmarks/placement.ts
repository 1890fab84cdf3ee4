export const fixedPlacement: readonly string[] = (process.env['PLACE'] ?? '').split(' ').filter((x) => x !== '')
