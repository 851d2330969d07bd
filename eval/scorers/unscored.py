"""The score where the official code gives none."""


class Unscored(float):
    """0.0, with the reason why the official code gives no score here.

    Args:
        reason: What the official code does instead.
    """

    reason: str

    def __new__(cls, reason: str) -> "Unscored":  # noqa: D102 - the class says it
        score = super().__new__(cls, 0.0)
        score.reason = reason
        return score

    def __reduce__(self) -> tuple[type["Unscored"], tuple[str]]:
        return type(self), (self.reason,)
