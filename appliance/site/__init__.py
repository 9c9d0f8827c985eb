"""A site: its paths, its configuration and its secrets. Every other subpackage may import this one."""
