"""The DNS of a domain of ours: what must be published, and whether it does its work.

codes      what can be wrong
records    all of one domain's records, looked at
exchangers MX · senders SPF · signatures DKIM · policy DMARC · transport MTA-STS and TLS-RPT

STANDARDS
    RFC 5321 §5, RFC 7505, RFC 7208, RFC 6376, RFC 9989, RFC 8461, RFC 8460.
"""
