"""Backups of a cluster, made on the administrator's machine, and the cluster made again from one."""
