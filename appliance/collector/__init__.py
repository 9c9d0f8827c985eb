"""The collector beside the audit log's writer: takes what hosts of a cluster observed, and has it logged.

told     what a host may say, as it is read
entries  from that to entries, named by the host whose certificate was shown; pure
service  the process: TLS, one line in, one line out

It runs as a user of its own, whom the writer knows for the role `cluster`; the program on the hosts is Ansible's role
`observer`.
"""
