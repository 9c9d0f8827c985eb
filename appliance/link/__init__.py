"""Links between pods: what two processes say to each other on one host, carried between hosts under mutual TLS.

ways     the file that says what is carried from where to where, and who may call
tls      contexts: TLS 1.3, both sides show a certificate of the links' own authority
relay    the process: accepts, opens the other end, and passes bytes on

A link knows nothing of what it carries. On the far side it opens a Unix socket as its own uid, so that whoever listens
there goes on judging callers by their uid: a link for each role, and a certificate for each link.
"""
