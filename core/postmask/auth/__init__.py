"""Who sent this message: SPF, DKIM, and the rule by which a reply is believed."""
