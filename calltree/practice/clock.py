"""Time as the practice switch keeps it."""

import asyncio
import time
from collections.abc import Callable


class Clock:
    """Real time for stamps, hurried time for waits.

    `rate` 4 makes every wait a quarter as long: customers pick up, speak and hang up four times as
    quickly. Stamps, billed milliseconds and recordings stay in real time, so they agree with the
    clocks of whoever listens.
    """

    def __init__(self, rate: float = 1.0) -> None:
        if rate <= 0:
            raise ValueError("the clock rate must be above 0")
        self.rate = rate

    def now_us(self) -> int:
        """Microseconds since 1970, as FreeSWITCH stamps its events."""
        return time.time_ns() // 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0.0) / self.rate)

    def later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(seconds, 0.0) / self.rate, call)

    def whole_seconds(self, seconds: int) -> float:
        """How long FreeSWITCH really waits for a time-out of so many seconds.

        It compares whole epoch seconds, so 4 was measured to fire after 3.37 s.
        """
        return max(seconds - time.time() % 1.0, 0.0)
