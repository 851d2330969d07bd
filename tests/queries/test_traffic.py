"""Whose turn it is, over all runs of a process."""

import asyncio
import random
from collections import Counter

import pytest
from virtual import now, virtual

from rlm_dspy.queries.lanes import Terms
from rlm_dspy.queries.traffic import LANES, Traffic, Tree, Visitor

FREE = Terms()


def visitors(count, most=4, *, apart=False):
    tree = Tree(most)
    return [Visitor(Tree(most) if apart else tree, FREE) for _ in range(count)]


async def pass_through(road, visitor, lane, seconds=1.0, done=None, name=None):
    ticket = await road.enter(visitor, lane, 0)
    try:
        await asyncio.sleep(seconds)
    finally:
        road.leave(ticket, 0)
    if done is not None:
        done.append(name)


@virtual
async def test_a_tree_has_no_more_in_flight_than_its_budget_says():
    road, (one, two) = Traffic(), visitors(2, most=5)
    lanes = [road.lane("a"), road.lane("b")]
    most = 0

    async def watch():
        nonlocal most
        while True:
            most = max(most, one.tree.running)
            assert one.tree.running == lanes[0].running + lanes[1].running
            await asyncio.sleep(0.1)

    watching = asyncio.ensure_future(watch())
    began = now()
    jobs = [pass_through(road, v, lane) for v in (one, two) for lane in lanes for _ in range(10)]
    await asyncio.gather(*jobs)
    watching.cancel()
    assert most == 5
    assert now() - began == 8  # 40 of a second each, 5 at a time
    assert one.tree.running == lanes[0].running == lanes[1].running == 0


@virtual
async def test_runs_take_turns_however_many_each_has_waiting():
    road, (many, few) = Traffic(), visitors(2, most=2)
    lane, done = road.lane("m"), []
    jobs = [pass_through(road, many, lane, done=done, name="many") for _ in range(100)]
    jobs += [pass_through(road, few, lane, done=done, name="few") for _ in range(10)]
    await asyncio.gather(*jobs)
    assert Counter(done[:22])["few"] == 10


@virtual
async def test_trees_take_turns_on_a_model():
    road, (many, few) = Traffic(), visitors(2, most=100, apart=True)
    many, few = (Visitor(v.tree, Terms(concurrency=2)) for v in (many, few))
    lane, done = road.lane("m"), []
    jobs = [pass_through(road, many, lane, done=done, name="many") for _ in range(100)]
    jobs += [pass_through(road, few, lane, done=done, name="few") for _ in range(10)]
    await asyncio.gather(*jobs)
    assert Counter(done[:22])["few"] == 10


@virtual
async def test_a_model_that_must_wait_holds_up_no_other():
    road, (one,) = Traffic(), visitors(1, most=4)
    slow, fast, done = road.lane("slow"), road.lane("fast"), []
    slow.throttle(50, now())
    jobs = [pass_through(road, one, slow, done=done, name="slow") for _ in range(10)]
    jobs += [pass_through(road, one, fast, done=done, name="fast") for _ in range(10)]
    waiting = asyncio.gather(*jobs)
    await asyncio.sleep(10)
    assert done == ["fast"] * 10
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@virtual
async def test_a_pause_ends_by_itself():
    road, (one,) = Traffic(), visitors(1)
    lane, began = road.lane("m"), now()
    first = await road.enter(one, lane, 0)
    lane.throttle(30, now())
    road.leave(first, 0)
    await pass_through(road, one, lane)
    assert now() - began == 31


@virtual
async def test_who_comes_back_stands_first_among_its_own():
    road, (one,) = Traffic(), visitors(1, most=1)
    lane, order = road.lane("m"), []
    held = await road.enter(one, lane, 0)

    async def wait(name, first):
        ticket = await road.enter(one, lane, 0, first=first)
        order.append(name)
        road.leave(ticket, 0)

    jobs = [asyncio.ensure_future(wait(n, first=n == "again")) for n in ("a", "b", "again")]
    await asyncio.sleep(1)
    road.leave(held, 0)
    await asyncio.gather(*jobs)
    assert order == ["again", "a", "b"]


@pytest.mark.parametrize("seed", range(20))
def test_cancelled_attempts_leave_no_trace(seed):
    @virtual
    async def run():
        draw = random.Random(seed)
        road = Traffic()
        tree = Tree(3)
        lanes = [road.lane(name) for name in "ab"]
        runs = [Visitor(tree, Terms(concurrency=2, requests=draw.choice([None, 40])))] * 2
        jobs = [
            asyncio.ensure_future(
                pass_through(road, draw.choice(runs), draw.choice(lanes), draw.random())
            )
            for _ in range(60)
        ]
        for job in draw.sample(jobs, 40):
            await asyncio.sleep(draw.choice([0, 0, 0.1]))
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        assert tree.running == 0
        assert [lane.running for lane in lanes] == [0, 0]
        assert not road._lines

    run()


@virtual
async def test_models_that_nobody_asks_are_forgotten():
    road = Traffic()
    for number in range(LANES * 3):
        road.lane(number)
    assert len(road._lanes) <= LANES


@virtual
async def test_of_identical_requests_one_is_made_and_the_others_come_after():
    road, made = Traffic(), []

    async def ask(key):
        async with road.flight(key) as was_made:
            made.append((key, was_made))
            await asyncio.sleep(1)

    began = now()
    await asyncio.gather(*(ask(key) for key in "aaabb"))
    assert sorted(made) == [("a", False), ("a", True), ("a", True), ("b", False), ("b", True)]
    assert now() - began == 2


@virtual
async def test_a_request_that_fails_or_is_cancelled_holds_nobody_up():
    road = Traffic()

    async def fail():
        async with road.flight("a"):
            await asyncio.sleep(1)
            raise ValueError("broken")

    async def follow():
        async with road.flight("a") as was_made:
            return was_made

    leader = asyncio.ensure_future(fail())
    await asyncio.sleep(0.5)
    followers = [asyncio.ensure_future(follow()) for _ in range(3)]
    await asyncio.sleep(0.1)
    followers[0].cancel()
    found = await asyncio.gather(leader, *followers, return_exceptions=True)
    assert [type(one) for one in found[:2]] == [ValueError, asyncio.CancelledError]
    assert found[2:] == [True, True]
    assert not await follow()


@virtual
async def test_after_a_request_that_did_not_end_well_one_of_the_others_makes_it():
    road, making, order = Traffic(), [], []

    async def ask(number):
        async with road.flight("a") as was_made:
            if "answered" not in order:  # the cache has nothing
                making.append(number)
                order.append(f"{number} {was_made} {now() - began:.0f}")
                assert len(making) == 1
                await asyncio.sleep(1)
                making.remove(number)
                if number == 1:
                    raise ValueError("broken")
                order.append("answered")
            return number

    began = now()
    jobs = [asyncio.ensure_future(ask(number)) for number in range(6)]
    await asyncio.sleep(0.5)
    making.clear()
    jobs[0].cancel()
    found = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(one) for one in found[:2]] == [asyncio.CancelledError, ValueError]
    assert found[2:] == [2, 3, 4, 5]
    assert order == ["0 False 0", "1 True 0", "2 True 2", "answered"]
    assert not road._flights
