"""The RCPT decision at Postfix's door: a policy service (the gate) and a milter, one process.

    policy    the policy delegation protocol, bytes in, requests out; no socket
    gate      the policy service on a Unix socket; conversation: one connection to it
    alias     one SMTP session as the alias milter sees it; no libmilter
    adapter   libmilter, and the only module that imports Milter
    rcpt      asks the decision, logs the answer, hands refusals on to be recorded
    refusals  records refusals without delaying answers
    service   the process: what starts, what stops, in which order

The names `milter`, `Milter` and `mime` belong to pymilter; nothing of ours may be called so.
"""
