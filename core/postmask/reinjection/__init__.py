"""Re-injection: finished messages on their way back into Postfix's queue, by SMTP on a Unix socket."""
