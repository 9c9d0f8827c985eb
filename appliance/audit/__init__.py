"""The audit log: an append-only Merkle log of every use, signed, verifiable offline without trusting the operator.

events      what is recorded (OCSF 1.9), pseudonymous, never raw content
roles       who writes which kinds of events, under which ids
client      how the rest of the appliance appends: AuditClient, SyncAuditClient
server      the one writer: HTTP on a Unix socket, group commit, flock
mldsa       what signs checkpoints beside Ed25519: the release's own library, held against cryptography
log         tiles, entries and checkpoint on disk (C2SP tlog-tiles, tlog-checkpoint, signed-note)
verify      the whole log checked offline; names what is wrong
prove       one entry, with a proof that needs neither the log nor this program
witness     an auditor's memory of the log: cosigns what extends it, names what does not (cosigned, delivery, shelf)
export      a range with proofs, the 200 lines that check it anywhere (export_check), and what names the changed entry
            (export_verify)
about       the entries about one person
usage       who used which model how much; report_table and report_html draw it
"""
