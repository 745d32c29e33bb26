"""The dialler's door to the pacing rule.

The rule itself is `calltree.pacing`, one floor down: the page "what would 2× do to us?" asks it as
well, and pages may not import the telephone's room.

The loop, at every tick and whenever an operator or a line changes:

1. counts a `Scene` and the day's `Share` from rows, and takes the campaign's `Memory`;
2. `decide(rule, scene, share, memory)`; keeps `Decision.braked` as `Memory.braked`;
3. dials `Decision.dial` numbers through the gate; `say(decision)` is its sentence;
4. tells the memory of each line that is answered or ends: `answered(after_s)`, `silent(after_s)`;
5. ends no ringing call: surplus lines ring on for `Rule.ring_timeout_s`, which each dial carries.

`Memory.to_json` is kept where the loop likes; `remembered` makes it again from the ledger.
"""

from calltree.pacing.memory import Memory, remembered
from calltree.pacing.rule import Decision, Mode, Rule, Scene, Share, decide, round_half_up
from calltree.pacing.words import SENTENCES, say

__all__ = [
    "SENTENCES",
    "Decision",
    "Memory",
    "Mode",
    "Rule",
    "Scene",
    "Share",
    "decide",
    "remembered",
    "round_half_up",
    "say",
]
