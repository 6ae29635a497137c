"""The doctor's groups of checks, put together: this is where a new group is added.

To add one:

1.  Declare its codes in a module of the core or of postmask_postfix (postmask.doctor.node is the example):
    `NAME = error(id, sentence, why, advice)`, warning or notice, and `CODES = declared(globals())`. Each
    group has a hundred of its own: PM0xx the doctor itself, PM1xx node, PM2xx postfix, PM3xx host, PM4xx
    dns, PM5xx blocklists, PM6xx send.
2.  Write what judges as functions from data to findings, `CODE.at(where, what)`; `where` stays the same from
    run to run, `what` holds the figures. They lie in postmask.doctor.NAME, or postmask_postfix.doctor.
3.  Write what looks as functions from Surroundings to findings, in postmask.cli.doctor.NAME, and list them
    there: `GROUP = Group(name, what, seconds, CODES, (Check("its name", look), …))`. Heavy imports stay
    inside the functions; what another group imports too is in surroundings.load. A check may raise: that is
    a finding of its own, and the next check goes on.
4.  Add it to GROUPS, write docs/man/postmask-doctor.7 anew (python3 -m postmask.cli.doctor.manual), and give
    each code a fixture in tests/unit/doctor/ or tests/unit/cli/; a test there fails for one without.

What `postmask status` looks at is in postmask.cli.checks, with codes; disks are among it.
"""

from __future__ import annotations

from postmask.cli.doctor import blocklists, dns, host, node, postfix, send
from postmask.cli.doctor.surroundings import Surroundings
from postmask.doctor.examination import Group

GROUPS: tuple[Group[Surroundings], ...] = (node.GROUP, postfix.GROUP, host.GROUP, dns.GROUP, blocklists.GROUP)
"""Those that are always looked at, in the order in which they are told."""

ALL = (*GROUPS, send.GROUP)
"""With what is done on request alone."""
