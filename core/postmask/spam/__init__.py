"""The spam check: engines that may hang, lie or die, and mail that flows all the same.

    scanner = open_scanner(settings, clock)                      # postmask.spam.opening, one a program
    scan = scanner.scan(content, Facts(client=…, sender=…), deadline)
    scan.score                 a judgement, or None: then `scan.why_unscanned` says why
    scanner.figures()          for `postmask spam status`; Publisher writes them into a file

engine, spamc, rspamd, judgement: pure, octets to octets and values. exchange: one question, one engine,
one deadline. scanner: the engines in order, their breakers and budgets. bypass: the emergency switch.
"""
