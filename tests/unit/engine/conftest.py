"""Nothing here waits before it is sent again."""

from support.no_pauses import no_pauses

__all__ = ["no_pauses"]
