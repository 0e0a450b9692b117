"""The line before the slots, on a loop whose clock jumps instead of waiting."""

import asyncio
import random

import pytest

from personaplex_app.errors import CapacityError
from personaplex_app.principal import NOBODY, Principal
from personaplex_app.sessions.admission import Admission, Place

pytestmark = pytest.mark.unit


class VirtualLoop(asyncio.SelectorEventLoop):
    """Sleeping costs no time; a loop that would wait for ever fails instead."""

    def __init__(self):
        super().__init__()
        self._virtual_s = 0.0
        select = self._selector.select

        def jump(timeout):
            assert timeout is not None, "every task waits and nothing will ever happen"
            self._virtual_s += timeout
            return select(0)

        self._selector.select = jump

    def time(self):
        return self._virtual_s


def run(main):
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, 100_000))
    finally:
        leaked = asyncio.all_tasks(loop)
        loop.close()
        assert not leaked


def now_s():
    return asyncio.get_running_loop().time()


class Caller:
    """Takes a slot for `talk_s`, noting what it was told and when it was in."""

    def __init__(self, admission, talk_s, caller=NOBODY):
        self.told, self.in_at_s, self.error = [], None, None
        self.task = asyncio.ensure_future(self._call(admission, talk_s, caller))

    async def _call(self, admission, talk_s, caller):
        try:
            async with admission.slot(lambda place: self.told.append((now_s(), place)), caller=caller):
                self.in_at_s = now_s()
                await asyncio.sleep(talk_s)
        except CapacityError as error:
            self.error = error


async def callers(admission, *talks_s):
    made = []
    for talk_s in talks_s:
        made.append(Caller(admission, talk_s))
        await asyncio.sleep(0)
    return made


def test_admission_free_slots_are_taken_without_waiting():
    async def main():
        admission = Admission(2, talk_limit_s=60)
        a, b = await callers(admission, 10, 10)
        assert (admission.used, admission.total, admission.waiting) == (2, 2, 0)
        await asyncio.gather(a.task, b.task)
        assert a.told == b.told == []
        assert admission.used == 0

    run(main())


def test_admission_line_is_first_come_first_served():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        line = await callers(admission, 10, 20, 30, 5)
        await asyncio.gather(*(c.task for c in line))
        assert [c.in_at_s for c in line] == [0, 10, 30, 60]

    run(main())


def test_admission_waiting_caller_is_told_at_once_on_change_and_every_5_s():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        _, second, third = line = await callers(admission, 12, 12, 12)
        await asyncio.gather(*(c.task for c in line))
        assert [at for at, _ in second.told] == [0, 5, 10]
        assert [(at, place.ahead) for at, place in third.told] == [
            (0, 1),
            (5, 1),
            (10, 1),
            (12, 0),
            (17, 0),
            (22, 0),
        ]

    run(main())


def test_admission_estimate_before_any_talk_ended_is_the_limit_less_elapsed():
    async def main():
        admission = Admission(2, talk_limit_s=60)
        running = await callers(admission, 1000)
        await asyncio.sleep(20)
        running += await callers(admission, 1000)
        waiting = await callers(admission, 1, 1, 1)
        assert [c.told[0][1] for c in waiting] == [Place(0, 40), Place(1, 60), Place(2, 100)]
        for caller in running:
            caller.task.cancel()
        await asyncio.gather(*(c.task for c in running + waiting), return_exceptions=True)

    run(main())


def test_admission_estimate_after_talks_ended_uses_their_mean_length():
    async def main():
        admission = Admission(1, talk_limit_s=600)
        for caller in await callers(admission, 20, 40):
            await caller.task
        (running,) = await callers(admission, 100)
        first, second = await callers(admission, 1, 1)
        assert first.told[0][1] == Place(0, 30)
        assert second.told[0][1] == Place(1, 60)
        await asyncio.sleep(52)  # past the mean: any time until the limit
        assert first.told[-1] == (110, Place(0, 275))
        await asyncio.gather(running.task, first.task, second.task)

    run(main())


def test_admission_full_line_gets_a_sentence_and_others_keep_their_place():
    async def main():
        admission = Admission(1, talk_limit_s=60, most_waiting=2)
        line = await callers(admission, 10, 10, 10, 10)
        await asyncio.gather(*(c.task for c in line))
        assert "2 callers are waiting" in str(line[3].error)
        assert [c.in_at_s for c in line] == [0, 10, 20, None]

    run(main())


def test_admission_caller_who_leaves_the_line_moves_the_others_up():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        _, leaver, last = line = await callers(admission, 10, 10, 10)
        await asyncio.sleep(1)
        leaver.task.cancel()
        await asyncio.gather(*(c.task for c in line), return_exceptions=True)
        assert (1, 0) in [(at, place.ahead) for at, place in last.told]
        assert (leaver.in_at_s, last.in_at_s) == (None, 10)

    run(main())


def test_admission_caller_cancelled_when_its_turn_comes_passes_the_slot_on():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        holder, leaver, last = line = await callers(admission, 12, 12, 12)
        holder.task.add_done_callback(
            lambda _: leaver.task.cancel()
        )  # the slot is already the leaver's, which has not run yet
        await asyncio.gather(*(c.task for c in line), return_exceptions=True)
        assert leaver.in_at_s is None
        assert last.in_at_s == 12
        assert (admission.used, admission.waiting) == (0, 0)

    run(main())


def test_admission_caller_whose_telling_fails_leaves_the_line():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        (holder,) = await callers(admission, 10)

        def gone(place):
            raise ConnectionError("gone")

        with pytest.raises(ConnectionError):
            async with admission.slot(gone):
                pytest.fail("a caller that is gone must not get in")
        assert admission.waiting == 0
        await holder.task

    run(main())


def test_admission_talk_that_raises_frees_its_slot():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        with pytest.raises(ZeroDivisionError):
            async with admission.slot(lambda place: None):
                raise ZeroDivisionError
        assert admission.used == 0

    run(main())


def test_admission_drain_turns_the_line_away():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        running, waiting = await callers(admission, 10, 10)
        admission.drain()
        (late,) = await callers(admission, 10)
        await asyncio.gather(running.task, waiting.task, late.task)
        assert "restart" in str(waiting.error)
        assert "restart" in str(late.error)
        assert (running.error, running.in_at_s, admission.draining) == (None, 0, True)

    run(main())


def test_admission_caller_cancelled_while_drained_leaves_no_unseen_error():
    async def main():
        seen = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context))
        admission = Admission(1, talk_limit_s=60)
        running, waiting = await callers(admission, 10, 10)
        admission.drain()
        waiting.task.cancel()
        await asyncio.gather(running.task, waiting.task, return_exceptions=True)
        del waiting
        await asyncio.sleep(1)
        assert seen == []

    run(main())


def test_admission_more_slots_let_the_line_in():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        line = await callers(admission, 10, 10, 10)
        admission.resize(3)
        await asyncio.gather(*(c.task for c in line))
        assert [c.in_at_s for c in line] == [0, 0, 0]

    run(main())


@pytest.mark.parametrize("seed", range(20))
def test_admission_random_comings_and_goings_leak_nothing(seed):
    chance = random.Random(seed)
    inside, most = [0], [0]

    async def main():
        admission = Admission(3, talk_limit_s=60, most_waiting=10)

        async def call():
            await asyncio.sleep(chance.uniform(0, 200))
            async with admission.slot(lambda place: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                try:
                    assert inside[0] <= 3
                    assert admission.used <= 3
                    await asyncio.sleep(chance.uniform(0, 30))
                finally:
                    inside[0] -= 1

        tasks = [asyncio.ensure_future(call()) for _ in range(100)]
        for task in chance.sample(tasks, 40):
            await asyncio.sleep(chance.uniform(0, 5))
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        kinds = {type(result) for result in results}
        assert (
            {type(None), asyncio.CancelledError}
            <= kinds
            <= {type(None), asyncio.CancelledError, CapacityError}
        )
        assert most == [3]
        assert (admission.used, admission.waiting) == (0, 0)

    run(main())


class Spare:
    """Takes spare slots one after another for `work_s` each, and gives one back when it is wanted."""

    def __init__(self, admission, work_s):
        self.told = []
        self.in_at_s = []
        self.out_at_s = []
        self.error = None
        self.task = asyncio.ensure_future(self._work(admission, work_s))

    async def _work(self, admission, work_s):
        done = False
        try:
            while not done:
                async with admission.slot(self.told.append, spare=True) as slot:
                    self.in_at_s.append(now_s())
                    try:
                        await asyncio.wait_for(slot.wanted.wait(), work_s)
                    except asyncio.TimeoutError:
                        done = True
                    self.out_at_s.append(now_s())
        except CapacityError as error:
            self.error = error


def at(number, browser=""):
    return Principal(address=f"192.0.2.{number}").with_owner_key(browser and browser * 20)


def test_admission_one_address_fills_neither_the_line_nor_every_slot_that_comes_free():
    async def main():
        admission = Admission(2, talk_limit_s=60)
        crowd = [Caller(admission, 10, at(1)) for _ in range(40)]
        await asyncio.sleep(0)
        assert (admission.used, admission.waiting) == (2, 16)
        refused = [each.error for each in crowd if each.error]
        assert len(refused) == 22
        assert "16 callers of your address are waiting, its share of the line" in str(refused[0])
        assert refused[0].retry_after_s == 60
        honest = Caller(admission, 10, at(2))
        await asyncio.sleep(0)
        assert honest.told[0][1].ahead == 0
        await asyncio.gather(honest.task, *(each.task for each in crowd))
        assert honest.in_at_s == 10

    run(main())


def test_admission_who_holds_fewer_goes_first_and_nobody_waits_for_ever():
    async def main():
        admission = Admission(1, talk_limit_s=60)
        running = Caller(admission, 10, at(9))
        await asyncio.sleep(0)
        line = [Caller(admission, 10, who) for who in (at(1), at(1, "a"), at(1, "a"), at(2), at(3))]
        await asyncio.sleep(1)
        assert [each.told[-1][1].ahead for each in line] == [0, 3, 4, 1, 2]
        late = []
        while not line[2].in_at_s:
            late.append(Caller(admission, 10, at(100 + len(late))))
            await asyncio.sleep(10)
        assert line[2].in_at_s <= 90
        await asyncio.gather(running.task, *(each.task for each in (*line, *late)))

    run(main())


def test_admission_address_that_holds_every_slot_shares_while_another_waits():
    async def main():
        admission = Admission(2, talk_limit_s=600)
        slots = []

        async def hold(caller, seconds):
            async with admission.slot(lambda place: None, caller=caller) as slot:
                slots.append(slot)
                await asyncio.sleep(seconds)

        talks = [asyncio.ensure_future(hold(at(1), 100))]
        await asyncio.sleep(1)
        talks.append(asyncio.ensure_future(hold(at(1), 50)))
        await asyncio.sleep(1)
        own = asyncio.ensure_future(hold(at(1), 1))
        await asyncio.sleep(1)
        assert [admission.must_share(slot) for slot in slots] == [False, False]
        other = asyncio.ensure_future(hold(at(2), 1))
        await asyncio.sleep(1)
        assert [admission.must_share(slot) for slot in slots] == [True, False]
        other.cancel()
        await asyncio.sleep(1)
        assert [admission.must_share(slot) for slot in slots] == [False, False]
        await asyncio.gather(*talks, own, other, return_exceptions=True)

    run(main())


def test_spare_slots_go_to_a_talk_at_once_the_last_one_first_and_come_back_after_it():
    async def main():
        admission = Admission(2, 60)
        first = Spare(admission, 100)
        await asyncio.sleep(1)
        second = Spare(admission, 100)
        await asyncio.sleep(9)
        assert (admission.used, admission.talks) == (2, 0)
        talk = Caller(admission, 20)
        await asyncio.sleep(1)
        assert talk.in_at_s == 10
        assert talk.told[0][1] == Place(0, 0.0)
        assert (admission.used, admission.talks, admission.waiting) == (2, 1, 0)
        assert (first.out_at_s, second.out_at_s) == ([], [10])
        await asyncio.gather(first.task, second.task, talk.task)
        assert (first.in_at_s, second.in_at_s) == ([0], [1, 30])
        assert admission.used == 0

    run(main())


def test_spare_work_waits_behind_every_talk_and_is_fair_among_itself():
    async def main():
        admission = Admission(1, 60)
        talk = Caller(admission, 10)
        await asyncio.sleep(1)
        early = Spare(admission, 5)
        await asyncio.sleep(1)
        later, late = Caller(admission, 10), Spare(admission, 5)
        await asyncio.sleep(1)
        assert [place.ahead for place in (early.told[-1], late.told[-1])] == [1, 2]
        assert admission.waiting == 1
        await asyncio.gather(talk.task, early.task, later.task, late.task)
        assert (later.in_at_s, early.in_at_s, late.in_at_s) == (10, [20], [25])

    run(main())


def test_spare_work_ends_when_the_app_drains():
    async def main():
        admission = Admission(1, 60)
        running, waiting = Spare(admission, 100), Spare(admission, 100)
        await asyncio.sleep(1)
        admission.drain()
        await asyncio.gather(running.task, waiting.task)
        assert "about to restart" in str(running.error)
        assert "about to restart" in str(waiting.error)
        assert (admission.used, now_s()) == (0, 1)

    run(main())


def test_spare_line_is_bounded_by_itself():
    async def main():
        admission = Admission(1, 60, most_waiting=1)
        work = [Spare(admission, 5) for _ in range(3)]
        await asyncio.sleep(1)
        assert "All 1 slots are taken" in str(work[2].error)
        talk = Caller(admission, 5)
        await asyncio.gather(talk.task, *(each.task for each in work))
        assert talk.in_at_s == 1

    run(main())
