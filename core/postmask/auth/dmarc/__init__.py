"""Domain-based Message Authentication, Reporting, and Conformance (RFC 9989): policies found and applied.

author_domain(headers)                          whose policy counts
Judge(domain, dns, deadline).judge(spf, dkim)   what that policy says of a message
"""

from postmask.auth.dmarc.judge import Judge, author_domain

__all__ = ["Judge", "author_domain"]
