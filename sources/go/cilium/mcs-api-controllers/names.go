// Package controllers holds the one constant of sigs.k8s.io/mcs-api/controllers that Cilium uses: that module cannot be
// had where only released modules are served.
package controllers

// DerivedServiceAnnotation names the service that stands for an imported one, as KEP-1645 has it.
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
