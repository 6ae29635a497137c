"""The host as others see it: its name, its addresses, the way out, its clock.

codes      what can be wrong
outside    from which addresses mail comes to others
names      forward and reverse DNS
port25     whether mail gets out
timekeeping  whether the clock is set by NTP

STANDARDS
    RFC 5321 §2.3.5, §4.1.1.1 (the name in HELO), RFC 1912 §2.1 (forward and reverse DNS agree).
"""
