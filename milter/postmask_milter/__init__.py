"""What Postfix asks while a message comes in: two processes.

The RCPT decision, by a policy service (the gate) and a milter:

    policy        the policy delegation protocol, octets in, requests out; no socket
    conversation  one connection to the gate
    gate          the policy service on a Unix socket
    alias         one SMTP session as the alias milter sees it; no libmilter
    rcpt          asks the decision, logs the answer, hands refusals on to be recorded
    accepted      what the gate has just accepted, for the milter to repeat
    alias_service the process's parts, put together

The end of a message, by the scan milter:

    scan          one SMTP session as the scan milter sees it; no libmilter
    examiner      what is found out about a message, and what is done with it
    asking        the DNS and the spam engines, asked
    scan_service  the process's parts, put together

And for both:

    adapter       libmilter, and the only module that imports Milter
    workers       answers with a deadline, in threads of our own
    refusals      records refusals without delaying answers
    recording     what is recorded of them
    signals       when to stop, whatever libmilter thinks
    service       the process: what starts, what stops, in which order

The names `milter`, `Milter` and `mime` belong to pymilter; nothing of ours may be called so.
"""
