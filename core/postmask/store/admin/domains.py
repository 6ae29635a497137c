"""Domains of ours and their DKIM keys."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from postmask import address as addresses
from postmask import tokens
from postmask.keys import Keyring
from postmask.store.admin import accounts, purge
from postmask.store.admin.domainviews import key_view, view, views
from postmask.store.admin.views import DkimKeyView, DomainView
from postmask.store.errors import Duplicate, InUse, NotFound, Refused
from postmask.store.models import Alias, DkimKey, Domain, Mailbox, MailboxSender
from postmask.store.vocabulary import Algorithm, AliasRowState, KeyState

_LONGEST = addresses.ADDRESS_LIMIT - len("@") - addresses.LOCAL_LIMIT
"""Octets: a reverse alias's local part has all that one may have."""


def add(
    session: Session, name: str, postmaster: str, *, account: str | None = None, now: float
) -> DomainView:
    """Make a domain ours. postmaster: where mail to postmaster@ and abuse@ goes, outside our domains.

    Raises AddressError, Duplicate, Refused, InUse (there are mailboxes of ours in that domain).
    """
    name = addresses.parse_domain(name)
    if "." not in name:
        raise Refused(f'"{name}" is not a full domain name; give it with its top-level domain')
    if name.rpartition(".")[2].isdigit():
        raise Refused(f'"{name}" is not a domain name but an IP address, or like one; give the name')
    if len(name) > _LONGEST:
        raise Refused(
            f"{name} has more than {_LONGEST} octets, too many for reverse aliases; use a shorter one"
        )
    if is_ours(session, name):
        raise Duplicate(f"{name} is one of our domains already; see: postmask domain show {name}")
    _refuse_own_mailboxes(session, name)
    owner = accounts.choose(session, account)
    domain = Domain(
        id=tokens.random_id(),
        name=name,
        account=owner,
        postmaster=_postmaster(session, postmaster, name),
        created=now,
    )
    session.add(domain)
    session.flush()
    return view(session, domain)


def get(session: Session, name: str) -> DomainView:
    """One domain with its keys. Raises AddressError, NotFound."""
    return view(session, find(session, name))


def listing(session: Session, *, account: str | None = None) -> list[DomainView]:
    """All domains, or an account's, by name."""
    query = select(Domain).order_by(Domain.name).options(joinedload(Domain.account))
    if account is not None:
        query = query.where(Domain.account_id == accounts.find(session, account).id)
    return views(session, session.scalars(query).all())


def names(session: Session) -> list[str]:
    """The names of all our domains: what Postfix has to know."""
    return list(session.scalars(select(Domain.name).order_by(Domain.name)))


def first(session: Session) -> str | None:
    """The name of the one that was added first."""
    return session.scalars(select(Domain.name).order_by(Domain.created).limit(1)).first()


def edit(
    session: Session, name: str, *, postmaster: str | None = None, account: str | None = None
) -> DomainView:
    """Change where postmaster and abuse go, or who looks after the domain; None leaves it."""
    domain = find(session, name)
    if postmaster is not None:
        domain.postmaster = _postmaster(session, postmaster, domain.name)
    if account is not None:
        domain.account = accounts.find(session, account)
    session.flush()
    return view(session, domain)


def remove(
    session: Session, keys: Keyring, name: str, *, with_aliases: bool = False, now: float
) -> list[str]:
    """Take a domain out of our hands; returns the aliases that went with it.

    with_aliases: its aliases are purged with it, contacts and all; a tombstone keeps each address
    from being given to another account. Raises NotFound, InUse (it has aliases).
    """
    domain = find(session, name)
    present = _aliases(session, domain.name)
    if present and not with_aliases:
        raise InUse(
            f"{domain.name} has {len(present)} alias{'es' if len(present) > 1 else ''}; "
            "remove them first, or all with it: --with-aliases",
            present,
        )
    purge.aliases(session, keys, Alias.domain == domain.name, now=now)
    session.delete(domain)
    session.flush()
    return present


def purge_piece(session: Session, keys: Keyring, name: str, now: float) -> list[str] | None:
    """Purge some of a large domain's aliases, before remove() does the rest; those that there were.

    None: there are few enough to go with it. Raises NotFound.
    """
    return purge.piece(session, keys, Alias.domain == find(session, name).name, now=now)


def add_key(
    session: Session,
    domain: str,
    *,
    selector: str,
    algorithm: str,
    sealed: bytes,
    public: str,
    now: float,
) -> DkimKeyView:
    """Give the domain a signing key, in use from now on.

    sealed: keys.seal(Purpose.DKIM_STORAGE, PKCS #8 DER, domain, selector). public: the TXT value.
    Raises NotFound, Duplicate (the selector is taken).
    """
    owner = find(session, domain)
    if session.get(DkimKey, (owner.name, selector)) is not None:
        raise Duplicate(f"{owner.name} has a key with the selector {selector} already; choose another")
    key = DkimKey(
        domain=owner.name,
        selector=selector,
        algorithm=Algorithm(algorithm).value,
        sealed=sealed,
        public=public,
        state=KeyState.ACTIVE.value,
        created=now,
    )
    session.add(key)
    session.flush()
    return key_view(key)


def drop_key(session: Session, domain: str, selector: str) -> None:
    """Forget a signing key. Raises NotFound, Refused (no other is RSA, which all verify)."""
    owner = find(session, domain)
    key = session.get(DkimKey, (owner.name, selector))
    if key is None:
        raise NotFound(f"{owner.name} has no key {selector}: postmask domain show {owner.name}")
    others = select(DkimKey.algorithm).where(DkimKey.domain == owner.name, DkimKey.selector != selector)
    if Algorithm.RSA.value not in session.scalars(others):
        raise Refused(
            f"without {selector} {owner.name} has no RSA key, the kind that everybody verifies; "
            f"first: postmask domain edit {owner.name} --add-key rsa"
        )
    session.delete(key)
    session.flush()


def find(session: Session, name: str) -> Domain:
    """The domain's row. Raises AddressError, NotFound."""
    name = addresses.parse_domain(name)
    domain = session.scalars(select(Domain).where(Domain.name == name)).one_or_none()
    if domain is None:
        raise NotFound(f"{name} is not one of our domains; add it: postmask domain add {name}")
    return domain


def choose(session: Session, name: str | None) -> Domain:
    """The domain of this name; without a name the only one. Raises Refused where there are several."""
    if name is not None:
        return find(session, name)
    domains = session.scalars(select(Domain).order_by(Domain.name).limit(20)).all()
    if len(domains) == 1:
        return domains[0]
    if not domains:
        raise NotFound("there is no domain yet; add one: postmask domain add DOMAIN --postmaster ADDRESS")
    listed = ", ".join(domain.name for domain in domains)
    raise Refused(f"there are several domains, say which one with --domain: {listed}")


def is_ours(session: Session, name: str) -> bool:
    """Whether a domain of exactly this normal form is ours."""
    return session.scalars(select(Domain.id).where(Domain.name == name)).first() is not None


def _postmaster(session: Session, text: str, domain: str) -> str:
    postmaster = addresses.parse(text)
    if postmaster.domain == domain or is_ours(session, postmaster.domain):
        raise Refused(
            f"{postmaster} lies in one of our own domains; "
            "mail to postmaster and abuse must go to a mailbox elsewhere"
        )
    return str(postmaster)


def _refuse_own_mailboxes(session: Session, name: str) -> None:
    """What lies in a domain that becomes ours would forward to us: find it before."""
    inside = ("@" + name).replace("_", "/_")
    boxes = select(Mailbox.address).where(Mailbox.address.like(f"%{inside}", escape="/"))
    senders = select(MailboxSender.address).where(MailboxSender.address.like(f"%{inside}", escape="/"))
    posts = select(Domain.name).where(Domain.postmaster.like(f"%{inside}", escape="/"))
    dependents = [
        *(f"mailbox {address}" for address in session.scalars(boxes.order_by(Mailbox.address))),
        *(f"sender {address}" for address in session.scalars(senders.order_by(MailboxSender.address))),
        *(f"postmaster of {domain}" for domain in session.scalars(posts.order_by(Domain.name))),
    ]
    if dependents:
        raise InUse(
            f"mail is delivered to, or replied from, addresses in {name}; a domain of ours can't hold "
            "mailboxes. Use a subdomain for the aliases, or change or remove these first",
            dependents,
        )


def _aliases(session: Session, domain: str) -> list[str]:
    query = select(Alias.address).where(Alias.domain == domain, Alias.state != AliasRowState.REMOVED)
    return list(session.scalars(query.order_by(Alias.address)))
