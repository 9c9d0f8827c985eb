"""The host profile: checks a host, installs a verified release on it, runs its services and takes them away again."""
