/** Names of images that nobody pulls: a lab's kubelet runs a program of this machine in their place. */
export const sidecarImage = 'vcn-lab/sidecar'
export const haproxyImage = 'vcn-lab/haproxy'
