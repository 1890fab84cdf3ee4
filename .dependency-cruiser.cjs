// The rooms of ARCHITECTURE.md: a room may import only the rooms on its right-hand side.
const rooms = {
  base: [],
  linux: ['base'],
  nftables: ['base', 'linux'],
  datapath: ['base', 'linux'],
  ipam: ['base'],
  kube: ['base'],
  oci: ['base'],
  policy: ['base', 'kube', 'nftables'],
  proxy: ['base', 'kube', 'nftables'],
  mesh: ['base', 'kube', 'nftables'],
  cni: ['base'],
  agent: ['base', 'linux', 'nftables', 'datapath', 'ipam', 'kube', 'oci', 'policy', 'proxy', 'mesh', 'cni'],
  controller: ['base', 'kube', 'oci', 'ipam'],
  lab: ['base', 'linux', 'nftables', 'oci', 'kube'],
}

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'only-linux-uses-ffi',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(linux|nftables)/' },
      to: { path: 'node_modules/koffi' },
    },
    {
      name: 'src-does-not-import-tests',
      severity: 'error',
      from: { path: '^src/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(test|benchmarks)/' },
    },
    ...Object.entries(rooms).map(([room, may]) => ({
      name: `room-${room}`,
      severity: 'error',
      from: { path: `^src/${room}/`, pathNot: '\\.test\\.ts$' },
      to: { path: '^src/', pathNot: `^src/(${[room, ...may].join('|')})/` },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node'],
    },
  },
}
