/** As OKE's node pools write it. */
export const classicSpec = {
  id: 'ocid1.instance.oc1.iad.aaaa',
  maxPodCount: 31,
  podSubnetIds: ['ocid1.subnet.oc1.iad.pods'],
  networkSecurityGroupIds: ['ocid1.networksecuritygroup.oc1.iad.one'],
}

/** As Karpenter's provider for OCI writes it: Go structs of which some fields have no omitempty. */
export const karpenterSpec = {
  id: 'ocid1.instance.oc1.iad.aaaa',
  maxPodCount: 62,
  podSubnetIds: null,
  networkSecurityGroupIds: null,
  ipFamilies: null,
  secondaryVnics: [
    {
      displayName: 'SVnic 0',
      createVnicDetails: {
        displayName: 'SVnic 0',
        subnetId: 'ocid1.subnet.oc1.iad.pods',
        ipCount: 31,
        skipSourceDestCheck: true,
        securityAttributes: { zpr: { sensitivity: { value: 'high', mode: 'enforce' } } },
      },
    },
    {
      displayName: 'second',
      nicIndex: 1,
      createVnicDetails: {
        subnetId: 'ocid1.subnet.oc1.iad.more',
        nsgIds: ['ocid1.networksecuritygroup.oc1.iad.one'],
        assignPublicIp: false,
        definedTags: { Operations: { CostCenter: '42' } },
        freeformTags: { team: 'net' },
        applicationResources: ['blue'],
      },
    },
  ],
}

export const elasticSpec = {
  ...classicSpec,
  elastic: { mode: 'Elastic', minimumAddresses: 2, warmAddresses: 4, maximumAddresses: 64, preferBlocks: true },
}

export const classicStatus = {
  state: 'SUCCESS',
  reason: 'COMPLETED',
  vnics: [
    {
      vnicId: 'ocid1.vnic.oc1.iad.one',
      macAddress: '02:00:17:00:00:01',
      routerIp: '10.0.4.1',
      addresses: ['10.0.4.7', '10.0.4.9'],
      subnetCidr: '10.0.4.0/24',
    },
  ],
}

/** As newer versions of Oracle's controller write it, here with only the fields that replaced the classic ones. */
export const newerStatus = {
  state: 'SUCCESS',
  reason: 'COMPLETED',
  vnics: [
    {
      vnicId: 'ocid1.vnic.oc1.iad.one',
      macAddress: '02:00:17:00:00:01',
      routerIp: '',
      routerIps: [{ v4: '10.0.4.1', v6: 'fe80::200:17ff:fe00:1' }],
      podAddresses: [{ v4: '10.0.4.7', v6: '2603::7' }, { v4: '10.0.4.9' }, { v6: '2603::9' }],
      subnetCidrs: [{ v4: '10.0.4.0/24' }, { v6: '2603::/64' }],
      hostAddress: '',
      hostAddresses: [{ v4: '10.0.4.5' }],
      nicIndex: 0,
      vlanTag: 0,
      nicConfiguration: { ipCount: 31, ipFamilies: ['IPv4'] },
    },
  ],
}

export const elasticStatus = {
  ...classicStatus,
  elastic: {
    releases: [{ address: '10.0.4.9', vnicId: 'ocid1.vnic.oc1.iad.one', state: 'Marked' }],
    usedAddresses: 1,
    assignedAddresses: 2,
    wantedAddresses: 1,
  },
  conditions: [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Completed',
      message: '',
      lastTransitionTime: '2026-03-01T00:00:00Z',
      observedGeneration: 1,
    },
  ],
}
