"""The part of dkimpy that is used here."""

class CanonicalizationPolicy:
    @classmethod
    def from_c_value(cls, c: bytes) -> CanonicalizationPolicy: ...
