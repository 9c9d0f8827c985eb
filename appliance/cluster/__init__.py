"""The cluster profile: hosts by ssh become a Kubernetes cluster, by Ansible, from what a verified release brings."""
