CREATE TABLE domain (name TEXT PRIMARY KEY);
CREATE TABLE mailbox (address TEXT PRIMARY KEY);
CREATE TABLE alias (address TEXT PRIMARY KEY, goto TEXT);
INSERT INTO domain VALUES ('host.test'), ('second.test'), ('lists.alias.test');
INSERT INTO mailbox VALUES ('me@host.test'), ('you@second.test'), ('me@lists.alias.test');
INSERT INTO alias VALUES ('info@host.test', 'me@host.test');
